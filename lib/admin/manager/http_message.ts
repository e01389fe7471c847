import { Buffer } from "node:buffer";
import { STATUS_CODES } from "node:http";

/** The longest head of a request that is taken, in bytes. */
export const LONGEST_HEAD = 16 * 1024;

/** A request without its body. */
export interface HttpRequest {
  method: string;
  /** Its host means nothing: what the client says of it is in the headers. */
  url: URL;
  headers: Headers;
}

/** What came is no request that could be answered. */
export class BadRequest extends Error {
  override readonly name = "BadRequest";
  readonly status: number;

  constructor(status: number, message: string) {
    super(message);
    this.status = status;
  }
}

/**
 * The request (RFC 9112) whose head is at the beginning of `bytes`, and the head's size; `undefined`: it is not whole yet. Throws
 * `BadRequest` when there is none, or it is longer than `LONGEST_HEAD`.
 */
export function decodeRequest(bytes: Uint8Array): { size: number; request: HttpRequest } | undefined {
  const text = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString("latin1");
  const [whole, head] = /^(?:\r?\n)*([^\r\n].*?)\r?\n\r?\n/s.exec(text) ?? [];
  if (whole === undefined) {
    if (bytes.length >= LONGEST_HEAD) throw new BadRequest(431, `the head is longer than ${LONGEST_HEAD} bytes`);
    return undefined;
  }
  const [first, ...fields] = head!.split(/\r?\n/);
  const [, method, target, version] = /^(\S+) (\S+) HTTP\/(\d\.\d)$/.exec(first!) ?? [];
  if (version === undefined) throw new BadRequest(400, "no request of HTTP");
  if (!version.startsWith("1.")) throw new BadRequest(505, "HTTP/1.1 is spoken here");
  const url = URL.parse(target!.startsWith("/") ? `http://manager${target}` : target!);
  if (!url) throw new BadRequest(400, "no path");
  return { size: whole.length, request: { method: method!, url, headers: headersOf(fields) } };
}

function headersOf(fields: string[]): Headers {
  const headers = new Headers();
  for (const field of fields) {
    const [, name = "", value = ""] = /^([^:\s]+):([^\r]*)$/.exec(field) ?? [];
    try {
      headers.append(name, value); // throws for what may be in none
    } catch {
      throw new BadRequest(400, "no header");
    }
  }
  return headers;
}

/** An answer, whole, after which the connection ends. That to HEAD has no body. */
export async function encodeResponse(response: Response, method: string): Promise<Uint8Array> {
  const { status, headers } = response;
  const body = new Uint8Array(await response.arrayBuffer());
  const lines = [
    `HTTP/1.1 ${status} ${STATUS_CODES[status] ?? ""}`,
    ...[...headers].map(([name, value]) => `${name}: ${value}`),
    `content-length: ${body.length}`,
    `date: ${new Date().toUTCString()}`,
    "connection: close",
  ];
  const head = Buffer.from(`${lines.join("\r\n")}\r\n\r\n`, "latin1");
  return method === "HEAD" ? head : Buffer.concat([head, body]);
}
