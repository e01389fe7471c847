/** Every status code of the wire, with its message (protocol: Resume). */
export const MESSAGES = {
  200: "OK",
  400: "Malformed Request",
  401: "Unauthorized",
  403: "Index Expired",
  404: "User Not Found",
  406: "Not Acceptable",
  410: "Gone",
  501: "Network Error",
} as const;

/** A status code of the wire. */
export type Code = keyof typeof MESSAGES;

/** A violation of the protocol, or a refusal, with the wire's code for it. */
export class ScpError extends Error {
  override readonly name = "ScpError";
  readonly code: Code;

  /** `detail` says what was wrong, or nothing, for a log line; it never goes over the wire. */
  constructor(code: Code, detail: string) {
    super(`${code} ${MESSAGES[code]}${detail && `: ${detail}`}`);
    this.code = code;
  }
}
