/**
 * What goes between processes: `null`, booleans, numbers, bigints, strings, `Uint8Array`s, and arrays and plain objects of these, whose
 * keys do not begin with `$`. A key whose value is `undefined` is as if it were not there.
 */
export type PlainData =
  | null
  | boolean
  | number
  | bigint
  | string
  | Uint8Array
  | readonly PlainData[]
  | { readonly [key: string]: PlainData | undefined };

/** Plain data as it goes: JSON, and the bytes that it refers to, one after another. */
export interface Packed {
  text: Uint8Array<ArrayBuffer>;
  bytes: Uint8Array[];
}

/** What JSON has no word for stands as an object with one of these keys; bytes as where they begin and end. */
const [BYTES, BIGINT, NUMBER] = ["$bytes", "$bigint", "$number"];

/** Packs plain data; its byte arrays are not copied. Throws `TypeError` for what is none. */
export function pack(data: PlainData): Packed {
  const bytes: Uint8Array[] = [];
  let at = 0;
  const plain = (value: unknown): unknown => {
    if (value === null || typeof value === "boolean" || typeof value === "string") return value;
    if (typeof value === "bigint") return { [BIGINT]: String(value) };
    if (typeof value === "number") return Number.isFinite(value) ? value : { [NUMBER]: String(value) };
    if (Array.isArray(value)) return value.map(plain);
    if (value instanceof Uint8Array) {
      bytes.push(value);
      return { [BYTES]: [at, at += value.length] };
    }
    if (typeof value !== "object" || Object.getPrototypeOf(value) !== Object.prototype) throw notPlain(value);
    const entries = Object.entries(value).filter(([, each]) => each !== undefined);
    return Object.fromEntries(entries.map(([key, each]) => {
      if (key.startsWith("$")) throw new TypeError(`the key ${key} of plain data begins with $`);
      return [key, plain(each)];
    }));
  };
  return { text: new TextEncoder().encode(JSON.stringify(plain(data))), bytes };
}

/** What was packed; its byte arrays are parts of `bytes`. Throws when it is nothing that `pack` makes. */
export function unpack(text: Uint8Array, bytes: Uint8Array): unknown {
  return JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(text), (_, value) => {
    if (typeof value !== "object" || value === null) return value;
    if (BIGINT in value) return BigInt(value[BIGINT]);
    if (NUMBER in value) return Number(value[NUMBER]);
    if (!(BYTES in value)) return value;
    const [from, to] = value[BYTES] as [number, number];
    if (!(from >= 0 && from <= to && to <= bytes.length)) throw new RangeError("bytes that are not there");
    return bytes.subarray(from, to);
  });
}

function notPlain(value: unknown): TypeError {
  return new TypeError(`no plain data: ${typeof value === "object" ? value?.constructor?.name : typeof value}`);
}
