import type { Rule } from "../rule.ts";
import { END_RULES } from "./end_rules.ts";
import { FLOW_RULES } from "./flow_rules.ts";
import { FRAME_RULES } from "./frame_rules.ts";
import { LIVENESS_RULES } from "./liveness_rules.ts";
import { NEGOTIATION_RULES } from "./negotiation_rules.ts";
import { REFUSAL_RULES } from "./refusal_rules.ts";
import { RESUME_RULES } from "./resume_rules.ts";

/** Every rule of version 2 that is tried, in this order. */
export const RULES_OF_2: Rule[] = [
  ...NEGOTIATION_RULES,
  ...FRAME_RULES,
  ...FLOW_RULES,
  ...RESUME_RULES,
  ...REFUSAL_RULES,
  ...END_RULES,
  ...LIVENESS_RULES,
];
