import { Broken } from "../probe.ts";
import { bytes, type Rule } from "../rule.ts";
import { fill } from "./filling.ts";
import { dataFrame } from "./frames.ts";
import { openNarrow, openPeer } from "./offering.ts";

const section = "Version 2: Liveness";
/** Milliseconds after which who waits for an ACK asks; and within which who is sent DATA says something. */
const UNACKED = 5000;
const SPEAKS = 2000;
/** Milliseconds that the way here takes of more; and looks about once a second, which begin to count at the next one. */
const TOLERANCE = 700;
const LOOKS = 2000;
/** Milliseconds between the bytes that trickle. */
const TRICKLE = 250;

export const LIVENESS_RULES: Rule[] = [
  {
    section,
    rule: "PING is answered at once also while the consumer takes nothing, and the server's window is full",
    isSlow: true,
    check: async (probe) => {
      const peer = await openNarrow(probe);
      const most = await peer.atOnce();
      await fill(peer);
      await peer.ping(3, most);
    },
  },
  {
    section,
    rule: "while bytes of DATA come, none of which is consumed, something is said at least every 2 s",
    isSlow: true,
    check: async (probe) => {
      const peer = await openNarrow(probe);
      // Each byte that trickles needs its room.
      await fill(peer, 100);
      const { heard } = peer;
      const { acks, pings } = heard;
      const most = SPEAKS + TOLERANCE + probe.slack;
      for (let ms = 0; ms < most; ms += TRICKLE) {
        await peer.write(dataFrame(new Uint8Array(1)));
        heard.sent++;
        await peer.listen(TRICKLE);
        if (heard.acks > acks || heard.pings > pings) return;
      }
      throw new Broken(`nothing came within ${most} ms`);
    },
  },
  {
    section,
    rule: "a server that sends PINGs sends one when nothing was heard for 5 s and something is unacknowledged",
    isSlow: true,
    check: async (probe) => {
      const peer = await openPeer(probe);
      await peer.send(bytes(10));
      await peer.expect(bytes(10));
      if (peer.terms.ping === 0) return;
      await peer.until(() => peer.heard.pings > 0, "a PING", UNACKED + LOOKS + TOLERANCE + probe.slack);
    },
  },
];
