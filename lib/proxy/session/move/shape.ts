import type { Endpoint } from "../../../link/link.ts";

/** What was given is not what it has to be. */
export class ShapeError extends Error {
  override readonly name = "ShapeError";
}

/** What values of a type look like: it throws `ShapeError` of one that does not, and says where. Nothing is changed or copied. */
export type Shape<T> = ((value: unknown, at: string) => void) & { readonly of?: T };

function shape<T>(what: string, is: (value: unknown) => boolean): Shape<T> {
  return (value, at) => {
    if (!is(value)) throw new ShapeError(`${at} is not ${what}`);
  };
}

export const truth: Shape<boolean> = shape("true or false", (value) => typeof value === "boolean");
export const text: Shape<string> = shape("a string", (value) => typeof value === "string");
export const decimal: Shape<string> = shape(
  "a number of 64 bits in decimal",
  (value) => typeof value === "string" && /^\d{1,20}$/.test(value),
);
export const bytes: Shape<Uint8Array<ArrayBuffer>> = shape("bytes", (value) => value instanceof Uint8Array);
export const integer: Shape<number> = shape("an integer", Number.isSafeInteger);
/** A position, or how many there are. */
export const count: Shape<number> = shape(
  "an integer from 0 on",
  (value) => Number.isSafeInteger(value) && value as number >= 0,
);
export const id: Shape<number> = shape(
  "an id, of 1 to 2^32-1",
  (value) => Number.isInteger(value) && value as number >= 1 && value as number < 2 ** 32,
);
/** Milliseconds. */
export const duration: Shape<number> = shape(
  "a duration",
  (value) => typeof value === "number" && Number.isFinite(value),
);

/** A time, which may never come. */
export const time: Shape<number> = shape("a time", (value) => typeof value === "number" && value >= 0);

export function oneOf<const T>(...values: readonly T[]): Shape<T> {
  return shape(`one of ${values.join(", ")}`, (value) => values.includes(value as T));
}

/** It may be missing. */
export function optional<T>(of: Shape<T>): Shape<T | undefined> {
  return (value, at) => {
    if (value !== undefined) of(value, at);
  };
}

export function list<T>(of: Shape<T>): Shape<T[]> {
  return (value, at) => {
    if (!Array.isArray(value)) throw new ShapeError(`${at} is not a list`);
    for (const [i, item] of value.entries()) of(item, `${at}[${i}]`);
  };
}

/** A list of just these. */
export function tuple<T extends readonly unknown[]>(...of: { [K in keyof T]: Shape<T[K]> }): Shape<T> {
  return (value, at) => {
    if (!Array.isArray(value) || value.length !== of.length) {
      throw new ShapeError(`${at} is not a list of ${of.length}`);
    }
    for (const [i, each] of of.entries()) each(value[i], `${at}[${i}]`);
  };
}

/** Of each field; of one that may be missing too. */
type Fields<T> = {
  [K in keyof Required<T>]: Partial<Pick<T, K>> extends Pick<T, K> ? Shape<T[K] | undefined> : Shape<T[K]>;
};

/** With these fields, and no other: what is not known may mean anything. */
export function object<T extends object>(fields: Fields<T>): Shape<T> {
  return (value, at) => {
    if (typeof value !== "object" || value === null) throw new ShapeError(`${at} is not an object`);
    for (const key of Object.keys(value)) {
      if (!Object.hasOwn(fields, key)) throw new ShapeError(`${at}.${key} is not known`);
    }
    for (const [key, of] of Object.entries<Shape<unknown>>(fields)) {
      of((value as Record<string, unknown>)[key], `${at}.${key}`);
    }
  };
}

export const endpoint: Shape<Endpoint> = object<Endpoint>({ hostname: text, port: count });
