import { configureSync, getJsonLinesFormatter, getLogger, type LogRecord } from "@logtape/logtape";

/** From the most to the least that is logged. */
export const LOG_LEVELS = ["debug", "info", "warning", "error"] as const;
export type LogLevel = (typeof LOG_LEVELS)[number];

/** `text`: `TIME LEVEL event key=value …`. `json`: one object a line. */
export const LOG_FORMATS = ["text", "json"] as const;
export type LogFormat = (typeof LOG_FORMATS)[number];

/** What is told of an event. `undefined` values are left out. */
export type Fields = Record<string, string | number | undefined>;

/** Says what happened: a fixed `event`, and the `fields` that tell this one from others. */
export type Log = Record<LogLevel, (event: string, fields?: Fields) => void>;

/**
 * Sets the log of this process up, and gives it. Each line goes to `write` as it is made, with its newline; by default
 * to standard error. Events below `level` cost next to nothing.
 */
export function openLog(
  { level, format, write = writeToStderr }: { level: LogLevel; format: LogFormat; write?: (line: string) => void },
): Log {
  const formatter = format === "json" ? getJsonLinesFormatter({ properties: "flatten" }) : formatText;
  configureSync({
    reset: true,
    sinks: { out: (record: LogRecord) => write(formatter(record)) },
    loggers: [
      { category: "goscon", sinks: ["out"], lowestLevel: level },
      { category: ["logtape", "meta"], sinks: [], lowestLevel: "error" },
    ],
  });
  return getLogger("goscon");
}

/** Nothing that goes wrong in one session may end the others. It is a fault of ours: it is to be seen. */
export function logInternalErrors(log: Log): void {
  const tell = (event: Event, error: unknown) => {
    event.preventDefault();
    const { message, stack } = error instanceof Error ? error : { message: String(error), stack: undefined };
    log.error("internal error", { reason: message, stack });
  };
  globalThis.addEventListener("unhandledrejection", (event) => tell(event, event.reason));
  globalThis.addEventListener("error", (event) => tell(event, event.error));
}

function formatText({ timestamp, level, message, properties }: LogRecord): string {
  const words = [new Date(timestamp).toISOString(), level.toUpperCase(), message.join("")];
  for (const [key, value] of Object.entries(properties)) {
    if (value !== undefined) words.push(`${key}=${quoteIfNeeded(String(value))}`);
  }
  return words.join(" ") + "\n";
}

/** A value that could be taken for more than one word, or more than one line, stands as a JSON string. */
function quoteIfNeeded(value: string): string {
  return /^[!#-<>-~]+$/.test(value) ? value : JSON.stringify(value);
}

function writeToStderr(line: string): void {
  let rest = new TextEncoder().encode(line);
  while (rest.length > 0) rest = rest.subarray(Deno.stderr.writeSync(rest));
}
