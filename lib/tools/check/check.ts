import { parseAddress } from "../../config.ts";
import { reasonOf } from "../../link/link.ts";
import type { Dialect } from "../../scp/mod.ts";
import { Probe } from "./probe.ts";
import type { Rule } from "./rule.ts";
import { RULES } from "./rules.ts";

/** Milliseconds that a rule may take. */
const PATIENCE = 10_000;

/** What became of a rule. `reason`: why it does not hold. */
export interface Outcome extends Pick<Rule, "section" | "rule"> {
  reason?: string;
}

/** Tries every rule against an SCP server whose backend is an echo, one after another, and tells of each as it is known. */
export async function check(addr: string, dialect: Dialect, tell: (outcome: Outcome) => void): Promise<boolean> {
  const address = parseAddress(addr);
  if (address.kind === "builtin") throw new Error(`Cannot check ${addr}: it is not an address`);
  let all = true;
  for (const { section, rule, check } of RULES) {
    using probe = new Probe(address, dialect);
    const reason = await reasonAgainst(() => check(probe));
    all &&= reason === undefined;
    tell({ section, rule, ...(reason !== undefined && { reason }) });
  }
  return all;
}

/** Why it does not hold; `undefined`: it does. */
async function reasonAgainst(check: () => Promise<void>): Promise<string | undefined> {
  const late = Promise.withResolvers<never>();
  const timer = setTimeout(() => late.reject(new Error(`nothing more came within ${PATIENCE / 1000} s`)), PATIENCE);
  try {
    await Promise.race([check(), late.promise]);
    return undefined;
  } catch (error) {
    return reasonOf(error);
  } finally {
    clearTimeout(timer);
  }
}
