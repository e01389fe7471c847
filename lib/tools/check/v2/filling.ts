import { MOST_DATA } from "../../../scp/v2/frame.ts";
import { Broken } from "../probe.ts";
import { dataFrame } from "./frames.ts";
import type { Peer } from "./peer.ts";

/** Milliseconds without an ACK after which nothing is consumed any more: one says so within a second. */
const QUIET = 1500;
/** The most bytes that a backend and all before it may hold. */
const MOST = 2 ** 26;

/**
 * Sends so much, and acknowledges nothing, that the echo and all before it is full, and of the server's window there is left just
 * so much. The session cannot be resumed then: what was sent is not kept.
 */
export async function fill(peer: Peer, left = 0): Promise<void> {
  const { heard, terms } = peer;
  for (let acks = -1; heard.acks !== acks;) {
    acks = heard.acks;
    for (let room = peer.room - left; room > 0; room = peer.room - left) {
      const count = Math.min(room, MOST_DATA);
      await peer.write(dataFrame(new Uint8Array(count)));
      heard.sent += count;
      if (heard.sent > MOST) throw new Broken(`the server took ${MOST} bytes, and nobody took what it sent`);
      await peer.listen(0);
    }
    await peer.listen(QUIET, () => heard.acks !== acks || heard.closed !== undefined);
  }
  const { closed } = heard;
  if (closed) throw new Broken(`CLOSE ${closed.code} came ("${closed.reason}"), while there was room`);
  if (peer.room !== left) throw new Broken(`the server has room for ${peer.room} of ${terms.window} bytes`);
}
