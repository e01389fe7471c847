import { Semaphore } from "../../semaphore.ts";
import { within } from "../../within.ts";
import { type Bound, canonicalHost } from "./bound.ts";
import { type Fault, faultAt, type Node } from "../document.ts";

/** The IP addresses of a name. Rejects when there are none. */
export type Lookup = (hostname: string) => Promise<string[]>;

/** Milliseconds that the look-ups of a file may take. */
const PATIENCE = 2000;
/** One that is not answered goes on, and holds a thread of the few that Deno has: those of all files must have an end. */
const slots = new Semaphore(8);

/** Those of `bound` with the addresses that their names stand for, and a warning of each name that is not known. */
export async function lookUpNames(
  bound: readonly Bound[],
  lookup: Lookup,
  root: Node,
): Promise<{ bound: Bound[]; warnings: Fault[] }> {
  const names = new Set(bound.flatMap(({ name }) => name ?? []));
  const answers = new Map(await Promise.all([...names].map(async (name) => [name, await ask(name, lookup)] as const)));
  const warnings: Fault[] = [];
  const found = bound.map((one): Bound => {
    const answer = one.name === undefined ? undefined : answers.get(one.name);
    if (answer === undefined) return one;
    if (Array.isArray(answer)) return { ...one, hostnames: answer, written: `${one.written} (${answer.join(" ")})` };
    warnings.push(faultAt(root, one.path, `${one.name} cannot be looked up: ${answer}`));
    return one;
  });
  return { bound: found, warnings };
}

/** The addresses of a name, each in one spelling, or why they are not known. */
async function ask(name: string, lookup: Lookup): Promise<string[] | string> {
  let late = false;
  try {
    const ips = await within(PATIENCE, slots.run(() => late ? Promise.resolve([]) : lookup(name)));
    return ips ? ips.map(canonicalHost) : `no answer within ${PATIENCE} ms`;
  } catch (error) {
    return (error as Error).message;
  } finally {
    late = true;
  }
}
