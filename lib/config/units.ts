/** Where to dial or to listen. */
export type Address =
  | { kind: "tcp"; hostname: string; port: number }
  | { kind: "unix"; path: string }
  | { kind: "builtin"; name: "echo" };

const MILLISECONDS: Record<string, number> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000 };
const BYTES: Record<string, number> = { KiB: 2 ** 10, MiB: 2 ** 20, GiB: 2 ** 30 };

/** The longest that a timer can run, in milliseconds. */
export const LONGEST_TIME = 2 ** 31 - 1;

/** What `parseTime` takes, for messages. */
export const TIME_FORM = "a number of seconds, or one with its unit: 500ms 30s 5m 1h";
/** What `parseSize` takes, for messages. */
export const SIZE_FORM = "a number of bytes, or one with its unit: 64KiB 1MiB 1GiB";
/** What `parseAddress` takes, for messages. */
export const ADDRESS_FORM = "host:port, [IPv6]:port, unix:/path or builtin:echo";

/** The milliseconds that a time of the configuration stands for; `undefined` when it is none. */
export function parseTime(value: number | string): number | undefined {
  return parseQuantity(String(value), { "": 1000, ...MILLISECONDS });
}

/** The whole bytes that a size of the configuration stands for; `undefined` when it is none. */
export function parseSize(value: number | string): number | undefined {
  const bytes = parseQuantity(String(value), { "": 1, ...BYTES });
  return Number.isSafeInteger(bytes) ? bytes : undefined;
}

function parseQuantity(text: string, units: Record<string, number>): number | undefined {
  const plain = parseNumber(text);
  if (plain !== undefined) return plain < 0 ? undefined : plain * units[""]!;
  const [, digits, unit = ""] = /^(\d+(?:\.\d+)?)([a-zA-Z]+)$/.exec(text) ?? [];
  const factor = units[unit];
  return digits === undefined || factor === undefined ? undefined : Number(digits) * factor;
}

/** The number that a scalar of YAML 1.1 stands for, as Go's yaml.v2 reads it: 017 is 15; `undefined` when it is none. */
export function parseNumber(text: string): number | undefined {
  const [, sign, digits = ""] = /^([-+]?)(\d[\da-fox_]*|(?:\d[\d_]*)?\.?\d+(?:e[-+]?\d+)?)$/i.exec(text) ?? [];
  const plain = digits.replaceAll("_", "");
  const value = Number(/^0[0-7]+$/.test(plain) ? `0o${plain}` : plain);
  return sign === undefined || Number.isNaN(value) ? undefined : sign === "-" ? -value : value;
}

/** What `parseFlag` takes, for messages. */
export const FLAG_FORM = "true or false";

/** The truth that a scalar of YAML 1.1 stands for, as viper reads it: also a number; `undefined` when it is none. */
export function parseFlag(text: string): boolean | undefined {
  if (/^(?:true|t|yes|y|on)$/i.test(text)) return true;
  if (/^(?:false|f|no|n|off)$/i.test(text)) return false;
  const number = parseNumber(text);
  return number === undefined ? undefined : number !== 0;
}

/** A time as `parseTime` takes it. */
export function formatTime(milliseconds: number): string {
  return milliseconds % 1000 === 0 ? `${milliseconds / 1000}s` : `${milliseconds}ms`;
}

/** A size as `parseSize` takes it. */
export function formatSize(bytes: number): string | number {
  const unit = Object.entries(BYTES).findLast(([, factor]) => bytes >= factor && bytes % factor === 0);
  return unit ? `${bytes / unit[1]}${unit[0]}` : bytes;
}

/** Reads an address; an empty host is `anyHost`. Throws an `Error` that says what was expected. */
export function parseAddress(text: string, anyHost = "127.0.0.1"): Address {
  if (text === "builtin:echo") return { kind: "builtin", name: "echo" };
  if (text.startsWith("unix:") && text.length > 5) return { kind: "unix", path: text.slice(5) };
  const [, v6, name, digits] = /^(?:\[([0-9a-fA-F:.]+)\]|([^\s:/[\]]*)):(\d{1,5})$/.exec(text) ?? [];
  const port = Number(digits);
  if (digits === undefined || port > 65535) throw new Error(`expected ${ADDRESS_FORM}, not ${JSON.stringify(text)}`);
  return { kind: "tcp", hostname: v6 ?? (name || anyHost), port };
}

/** An address as `parseAddress` takes it. */
export function formatAddress(address: Address): string {
  if (address.kind === "builtin") return `builtin:${address.name}`;
  if (address.kind === "unix") return `unix:${address.path}`;
  const { hostname, port } = address;
  return hostname.includes(":") ? `[${hostname}]:${port}` : `${hostname}:${port}`;
}
