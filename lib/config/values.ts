import { isIP } from "node:net";
import * as v from "valibot";
import { faultOfPattern } from "./pattern.ts";
import {
  ADDRESS_FORM,
  FLAG_FORM,
  formatSize,
  LONGEST_TIME,
  parseAddress,
  parseFlag,
  parseNumber,
  parseSize,
  parseTime,
  SIZE_FORM,
  TIME_FORM,
} from "./units.ts";

// What a value of a file may be. A file gives each scalar as a text, and what is wanted says what it means. The numbers and booleans
// here are for editors, which know the types of YAML.

/** What a value is, in words of YAML. */
function nameOf(value: unknown): string {
  if (value === undefined || value === null) return "nothing";
  if (Array.isArray(value)) return "a list";
  if (typeof value === "object") return "a map";
  return typeof value === "string" && parseNumber(value) === undefined ? JSON.stringify(value) : String(value);
}

export const expected = (what: string) => ({ input }: { input: unknown }) => `expected ${what}, not ${nameOf(input)}`;

/** A text or a number that `parse` makes a value of, of at least `least`, 0 or 1; `form` says what it takes. */
export function quantity(form: string, parse: (value: string | number) => number | undefined, least: 0 | 1) {
  return v.pipe(
    v.union([v.number(), v.string()], expected(form)),
    v.rawTransform(({ dataset, addIssue, NEVER }) => {
      const value = parse(dataset.value);
      if (value !== undefined && value >= least) return value;
      const limit = value === undefined ? "" : ", more than 0";
      addIssue({ message: `expected ${form}${limit}, not ${nameOf(dataset.value)}` });
      return NEVER;
    }),
  );
}

const bounded = (least: 0 | 1) =>
  v.pipe(quantity(TIME_FORM, parseTime, least), v.maxValue(LONGEST_TIME, "expected at most 24 days: 576h"));
export const time = bounded(0);
export const timeNotZero = bounded(1);

export const sizeOf = (least: number, most = 2 ** 30) =>
  v.pipe(
    quantity(SIZE_FORM, parseSize, 1),
    v.minValue(least, `expected at least ${formatSize(least)}`),
    v.maxValue(most, `expected at most ${formatSize(most)}`),
  );
export const size = sizeOf(1);

export function whole(what: string, least: number, most: number) {
  const form = expected(`${what}, a whole number of ${least} to ${most}`);
  const limits = v.pipe(v.number(form), v.integer(form), v.minValue(least, form), v.maxValue(most, form));
  return v.union([limits, v.pipe(v.string(), read(parseNumber, form), limits)], form);
}

/** What `parse` makes of a text, which is none when it makes nothing. */
export function read<T>(parse: (text: string) => T | undefined, form: (issue: { input: unknown }) => string) {
  return v.rawTransform<string, T>(({ dataset, addIssue, NEVER }) => {
    const value = parse(dataset.value);
    if (value !== undefined) return value;
    addIssue({ message: form({ input: dataset.value }) });
    return NEVER;
  });
}

export const text = v.string(expected("a text"));
const aFlag = expected(FLAG_FORM);
export const flag = v.union([v.boolean(), v.pipe(v.string(), read(parseFlag, aFlag))], aFlag);

/** An address; where an empty host means `anyHost`. */
export function address(anyHost: string) {
  return v.pipe(
    v.string(expected(ADDRESS_FORM)),
    v.rawTransform(({ dataset, addIssue, NEVER }) => {
      try {
        return parseAddress(dataset.value, anyHost);
      } catch (error) {
        addIssue({ message: (error as Error).message });
        return NEVER;
      }
    }),
  );
}

export const listenAddress = v.pipe(
  address("0.0.0.0"),
  v.rawTransform(({ dataset, addIssue, NEVER }) => {
    if (dataset.value.kind === "tcp") return dataset.value;
    addIssue({ message: "expected host:port or [IPv6]:port, to listen on" });
    return NEVER;
  }),
);

export const choice = <const T extends readonly string[]>(options: T) =>
  v.picklist(options, expected(`one of ${options.join(", ")}`));

export const port = v.pipe(
  v.union([v.number(), v.string()], expected("a port")),
  v.rawTransform(({ dataset, addIssue, NEVER }) => {
    const value = parseNumber(String(dataset.value));
    if (Number.isInteger(value) && value !== undefined && value >= 1 && value <= 65535) return value;
    addIssue({ message: `expected a port, 1 to 65535, not ${nameOf(dataset.value)}` });
    return NEVER;
  }),
);

export const pattern = v.pipe(
  text,
  v.rawCheck(({ dataset, addIssue }) => {
    const fault = dataset.typed ? faultOfPattern(dataset.value) : undefined;
    if (fault) addIssue({ message: `expected a regular expression, as Go has them: ${fault}` });
  }),
);

const CIDR_FORM = "an IP address, or a network as 10.0.0.0/8";

const cidr = v.pipe(
  v.string(expected(CIDR_FORM)),
  v.check((value) => {
    const [, address, bits] = /^([^/]+)(?:\/(\d{1,3}))?$/.exec(value) ?? [];
    const family = isIP(address ?? "");
    return family !== 0 && Number(bits ?? 0) <= (family === 4 ? 32 : 128);
  }, expected(CIDR_FORM)),
);

export const cidrs = v.optional(v.array(cidr, expected("a list of IP addresses and networks")), []);

/** A map in which every key may be missing, or without a value: then each has its default. */
export function section<T extends v.ObjectEntries>(entries: T) {
  return v.nullish(v.strictObject(entries, expected("a map")), {} as never);
}
