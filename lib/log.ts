import { getJsonLinesFormatter, type LogRecord } from "@logtape/logtape";
import { LineQueue } from "./log/line_queue.ts";

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

/** Milliseconds that the end of a thread waits for the reader of standard error, at the most. */
const FLUSH = 2000;

const CATEGORY = ["goscon"];

let formatOf: (record: LogRecord) => string = formatText;

/** What this thread writes to standard error. */
const stderr = new LineQueue({
  write: (bytes) => Deno.stderr.write(bytes),
  // Whatever the level is.
  tellDropped: (count) => formatOf(recordOf("warning", "log lines dropped", { dropped: count })),
});

/** Writes a line to standard error, in the order of the log. Like the log it never waits: see `LineQueue`. */
export function writeLine(line: string): void {
  stderr.push(`${line}\n`);
}

/** Settles when all that this thread has said so far is out, or two seconds are over. To be awaited before it ends. */
export function flushLog(): Promise<void> {
  return stderr.flush(FLUSH);
}

/** How many lines this thread has dropped because nobody read them. */
export function droppedLines(): number {
  return stderr.dropped;
}

/**
 * Sets the log of this thread up, and gives it. Each line goes to `write` as it is made, with its newline; by default
 * to standard error, for which it waits in a `LineQueue`. Events below `level` cost nothing.
 *
 * The library's formatter makes the JSON; its loggers would keep each record for the collection of garbage to find, which was a
 * sixth of what a new session costs.
 */
export function openLog(
  { level: least, format, write = (line) => stderr.push(line) }: {
    level: LogLevel;
    format: LogFormat;
    write?: (line: string) => void;
  },
): Log {
  const formatter = format === "json" ? getJsonLinesFormatter({ properties: "flatten" }) : formatText;
  formatOf = formatter;
  const at = (level: LogLevel) =>
    LOG_LEVELS.indexOf(level) < LOG_LEVELS.indexOf(least)
      ? () => {}
      : (event: string, fields: Fields = {}) => write(formatter(recordOf(level, event, fields)));
  return { debug: at("debug"), info: at("info"), warning: at("warning"), error: at("error") };
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

function recordOf(level: LogLevel, event: string, properties: Fields): LogRecord {
  return { category: CATEGORY, level, message: [event], rawMessage: event, timestamp: Date.now(), properties };
}

function formatText({ timestamp, level, rawMessage, properties }: LogRecord): string {
  let line = `${new Date(timestamp).toISOString()} ${level.toUpperCase()} ${rawMessage}`;
  for (const key in properties) {
    const value = properties[key];
    if (value !== undefined) line += ` ${key}=${typeof value === "number" ? value : quoteIfNeeded(String(value))}`;
  }
  return line + "\n";
}

/**
 * A value that could be taken for more than one word, or more than one line, stands as a JSON string; what a terminal would obey, or
 * show in another order, is escaped: peers say why they end a session.
 */
function quoteIfNeeded(value: string): string {
  if (/^[!#-<>-~]+$/.test(value)) return value;
  return JSON.stringify(value).replace(/[\x7f-\x9f\p{Bidi_Control}\u2028\u2029]/gu, (character) => {
    return `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`;
  });
}
