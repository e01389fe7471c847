import type { KcpConnectOptions } from "../../client/kcp_dialers.ts";
import type { Dial } from "../../client/dialers.ts";
import { reasonOf } from "../../link/link.ts";
import type { TlsOptions } from "../../link/trust.ts";
import type { Dialect } from "../../scp/mod.ts";
import { diallingTo } from "../proxy_address.ts";
import { Probe } from "./probe.ts";
import type { Rule } from "./rule.ts";
import { RULES } from "./rules.ts";
import { expectVersion2 } from "./v2/offering.ts";
import { RULES_OF_2 } from "./v2/rules.ts";

/** Milliseconds that a rule may take. */
const PATIENCE = 15_000;
const DIAL_TIMEOUT = 5000;
/** Milliseconds after which a server that answers no more has closed a link over KCP, which it cannot tell. */
const SILENCE = 600;

/** What became of a rule. `reason`: why it does not hold. */
export interface Outcome extends Pick<Rule, "section" | "rule"> {
  reason?: string;
}

export interface CheckOptions extends TlsOptions, KcpConnectOptions {
  dialect: Dialect;
  /** Whose rules are tried; missing: of both, but for those of version 2 where the server does not speak it. */
  version?: 1 | 2 | undefined;
  /** Milliseconds more that what has its time is given, where the machine is busy; default 0. */
  slack?: number;
  /** Tells of a rule, as soon as it is known. */
  tell: (outcome: Outcome) => void;
  /** Tells what else there is to say, in one line. */
  note: (text: string) => void;
}

/** The rule without which the others of version 2 are not tried. */
const SPOKEN: Rule = { section: "Version 2: Negotiation", rule: "version 2 is spoken", check: expectVersion2 };

/**
 * Tries the rules against an SCP server whose backend is an echo, and tells of them in their order. Gives whether all hold. `addr`: as
 * `BridgeOptions.connect`.
 */
export async function check(
  addr: string,
  { dialect, version, slack, tell, note, ...reach }: CheckOptions,
): Promise<boolean> {
  const { dial } = diallingTo(addr, { ...reach, timeout: DIAL_TIMEOUT, silence: SILENCE });
  const trial = ({ check }: Rule) => tryRule(check, dial, dialect, slack);
  let all = true;
  const conclude = ({ section, rule }: Rule, reason: string | undefined) => {
    all &&= reason === undefined;
    tell({ section, rule, ...(reason !== undefined && { reason }) });
  };
  const tryAll = async (rules: Rule[]) => {
    const begun = new Map(rules.filter(({ isSlow }) => isSlow).map((rule) => [rule, trial(rule)]));
    for (const rule of rules) conclude(rule, await (begun.get(rule) ?? trial(rule)));
  };
  if (version !== 2) await tryAll(RULES);
  if (version === 1) return all;
  const silence = await trial(SPOKEN);
  if (silence === undefined) await tryAll(RULES_OF_2);
  else if (version === 2) conclude(SPOKEN, silence);
  else note(`version 2 is not spoken: ${silence}`);
  return all;
}

/** Why a rule does not hold; `undefined`: it does. */
export async function tryRule(
  check: Rule["check"],
  dial: Dial,
  dialect: Dialect,
  slack = 0,
): Promise<string | undefined> {
  using probe = new Probe(dial, dialect, slack);
  const late = Promise.withResolvers<never>();
  const patience = PATIENCE + slack;
  const timer = setTimeout(() => late.reject(new Error(`nothing more came within ${patience / 1000} s`)), patience);
  try {
    await Promise.race([check(probe), late.promise]);
    return undefined;
  } catch (error) {
    return reasonOf(error);
  } finally {
    clearTimeout(timer);
  }
}
