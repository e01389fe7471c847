import * as v from "valibot";
import type { ClusterOptions } from "../../../config/types.ts";
import type { Endpoint } from "../../../link/link.ts";
import { ENDPOINT, type Identity } from "./peers.ts";
import { BASE64_OF_32 } from "./sealed.ts";

/** The longest reason that is taken of a peer, in characters. */
const LONGEST_REASON = 600;

/** Who a peer says it is. `addr`: where it is to be dialled; missing: nowhere. */
export interface PeerIdentity extends Identity {
  role: ClusterOptions["role"];
  addr?: Endpoint;
}

/** Which node is meant; nothing: whoever answers. */
export interface PeerTarget {
  slot?: number;
  epoch?: number;
}

const whole = (least: number) => v.pipe(v.number(), v.safeInteger(), v.minValue(least));
const nonce = v.pipe(v.string(), v.regex(BASE64_OF_32));

const identity = v.pipe(
  v.object({
    instance: v.pipe(v.string(), v.regex(/^[A-Za-z0-9_-]{1,64}$/)),
    slot: v.exactOptional(whole(0)),
    epoch: v.exactOptional(whole(0)),
    role: v.picklist(["node", "edge"]),
    addr: v.exactOptional(ENDPOINT),
  }),
  v.check(({ slot, epoch }) => (slot === undefined) === (epoch === undefined)),
);
/** What a hello of every version says. */
export const versionForm = v.object({ v: whole(0) });
/** What the three messages say. What else they say is of a newer version, and left alone. */
export const challengeForm = v.object({ v: whole(0), nonce });
export const helloForm = v.object({
  cluster: v.string(),
  layout: v.object({ slots: whole(1), threads: whole(1) }),
  from: identity,
  to: v.object({ slot: v.exactOptional(whole(0)), epoch: v.exactOptional(whole(0)) }),
  kind: v.picklist(["carry", "watch", "call"]),
  nonce,
});
export const answerForm = v.variant("ok", [
  v.object({ ok: v.literal(true), v: whole(0), from: identity }),
  v.object({
    ok: v.literal(false),
    code: v.picklist(["gone", "elsewhere", "self", "rejected"]),
    reason: v.pipe(v.string(), v.maxLength(LONGEST_REASON)),
  }),
]);
