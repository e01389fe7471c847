import * as v from "valibot";
import { faultOfPattern } from "../../../../config/pattern.ts";
import type { Endpoint } from "../../../../link/link.ts";
import { ENDPOINT, PUBLICS } from "../peers.ts";
import type { Known, NodeFacts } from "../map/facts.ts";

/** The most lives of slots, and the most numbers of a thread, that are taken of one answer. */
const MOST_KNOWN = 4096;
const MOST_CLOSED = 65536;

/** What a node answers to who watches it. */
export interface WatchAnswer extends NodeFacts {
  /** Lives of slots that it knows of; its own are among them. */
  known: Known[];
  /** What tells this `known` from others; `known` is empty where the one who asks has said that it has that. */
  edition: string;
  /** Which connections it has closed its end of that the one who asks carries to it: by thread of that one. */
  closed: Record<string, number[]>;
  /** Of which set of `closed` that is the latest: to be confirmed when it asks again. */
  batch: number;
}

const whole = (least: number) => v.pipe(v.number(), v.safeInteger(), v.minValue(least));
/** A time, or a count from one: it may have a fraction. */
const time = v.pipe(v.number(), v.finite(), v.minValue(0));
const instance = v.pipe(v.string(), v.regex(/^[A-Za-z0-9_-]{1,64}$/));
const text = v.pipe(v.string(), v.maxLength(1024));
const pattern = v.pipe(text, v.check((pattern) => faultOfPattern(pattern) === undefined, "is no pattern"));

/** What is missing is as in a version that does not know of it. */
const ANSWER = v.object({
  identity: v.object({ instance, slot: v.exactOptional(whole(0)), epoch: v.exactOptional(whole(0)) }),
  role: v.picklist(["node", "edge"]),
  takesNew: v.optional(v.boolean(), true),
  serves: v.optional(v.pipe(v.array(pattern), v.maxLength(256)), []),
  weight: v.optional(whole(1), 1),
  publics: v.optional(PUBLICS, []),
  reuseTime: time,
  known: v.pipe(
    v.array(v.object({ slot: whole(0), epoch: whole(0), instance, addr: ENDPOINT, at: time })),
    v.maxLength(MOST_KNOWN),
  ),
  edition: v.optional(v.pipe(v.string(), v.maxLength(64)), ""),
  closed: v.optional(
    v.record(v.pipe(v.string(), v.regex(/^\d{1,3}$/)), v.pipe(v.array(whole(1)), v.maxLength(MOST_CLOSED))),
    {},
  ),
  batch: v.optional(time, 0),
});

/**
 * What a node of that address has answered. What is more is of a newer version, and left out. Where it knows its own address only as
 * `0.0.0.0` or `::` it is at the one where it answered. Throws an `Error` that says what is wrong with it.
 */
export function readWatchAnswer(value: unknown, at: Endpoint): WatchAnswer {
  const { success, issues, output } = v.safeParse(ANSWER, value);
  if (!success) {
    const [issue] = issues;
    throw new Error(`what it answers to a watch is wrong: ${v.getDotPath(issue) ?? "all of it"}: ${issue.message}`);
  }
  const isOwn = ({ instance, slot, epoch }: Known) =>
    instance === output.identity.instance && slot === output.identity.slot && epoch === output.identity.epoch;
  const isTold = output.known.length > 0 || output.edition === "";
  if (isTold && output.identity.slot !== undefined && !output.known.some(isOwn)) {
    throw new Error("what it answers to a watch is wrong: known: it does not tell of its own slot");
  }
  const known = output.known.map((life) =>
    life.instance === output.identity.instance && isAny(life.addr.hostname) ? { ...life, addr: at } : life
  );
  return { ...output, known };
}

/** Whether that stands for all addresses of a machine, and is none to be dialled. */
export function isAny(hostname: string): boolean {
  return hostname === "0.0.0.0" || hostname === "::";
}
