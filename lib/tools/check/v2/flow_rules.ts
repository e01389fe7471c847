import { Broken } from "../probe.ts";
import { bytes, type Rule } from "../rule.ts";
import { openNarrow, openPeer } from "./offering.ts";
import type { Peer } from "./peer.ts";

const section = "Version 2: Flow";
/** Milliseconds within which what is consumed is acknowledged; and what a timer and the way here take of more. */
const ACK_DELAY = 1000;
const TOLERANCE = 500;
/** How often something is tried that may come in time by chance. */
const ROUNDS = 4;
/** Milliseconds that the rules are still for, where nothing must come. */
const STILL = 300;

/** Has the server send all that the client's window holds, and acknowledges nothing: from now on ACKs come alone. */
async function hold(peer: Peer): Promise<void> {
  const { window } = peer.heard;
  await peer.send(bytes(window));
  await peer.expect(bytes(window));
  await peer.until(() => peer.heard.acked === window, `an ACK of ${window}`);
}

export const FLOW_RULES: Rule[] = [
  {
    section,
    rule: "what is consumed is acknowledged within a second",
    isSlow: true,
    check: async (probe) => {
      const peer = await openNarrow(probe);
      await hold(peer);
      await peer.send(bytes(10));
      const { heard } = peer;
      await peer.until(
        () => heard.acked === heard.sent,
        `an ACK of ${heard.sent}`,
        ACK_DELAY + TOLERANCE + probe.slack,
      );
    },
  },
  {
    section,
    rule: "a quarter of the window, 16,384 bytes at the most, is acknowledged at once when it is consumed",
    isSlow: true,
    check: async (probe) => {
      const peer = await openNarrow(probe);
      await hold(peer);
      const { heard, terms } = peer;
      const most = await peer.atOnce();
      const quarter = Math.min(Math.floor(terms.window / 4), 16_384);
      // Nobody takes what the echo sends: so in the end less is consumed, or nothing.
      for (let round = 0; round < ROUNDS && heard.acked === heard.sent; round++) {
        const [before, start] = [heard.acked, performance.now()];
        await peer.send(bytes(quarter));
        await peer.listen(ACK_DELAY + TOLERANCE + probe.slack, () => heard.acked > before);
        const took = Math.round(performance.now() - start);
        if (heard.acked - before >= quarter && took > most) {
          throw new Broken(`an ACK of ${heard.acked - before} bytes came after ${took} ms`);
        }
      }
    },
  },
  {
    section,
    rule: "the server sends no more than the client's window, 4,096 bytes at the least",
    isSlow: true,
    check: async (probe) => {
      const peer = await openNarrow(probe);
      const { heard } = peer;
      const sent = bytes(3 * heard.window);
      await peer.send(sent);
      for (let end = heard.window; end <= sent.length; end += heard.window) {
        await peer.until(() => heard.received === end, `byte ${end} of the stream`);
        // What came too much is seen as it comes.
        await peer.listen(STILL);
        await peer.ack();
      }
      await peer.expect(sent);
    },
  },
  {
    section,
    rule: "the RECEIVED of a resume opens no window, only ACK does",
    check: async (probe) => {
      const peer = await openNarrow(probe);
      const { heard } = peer;
      const sent = bytes(2 * heard.window);
      await peer.send(sent);
      await peer.until(() => heard.received === heard.window, `byte ${heard.window} of the stream`);
      await peer.resume();
      await peer.ping();
      await peer.listen(STILL);
      await peer.ack();
      await peer.expect(sent);
    },
  },
  {
    section,
    rule: "an ACK of the same position again is right",
    check: async (probe) => {
      const peer = await openPeer(probe);
      await peer.ack(0);
      await peer.echo();
      for (let i = 0; i < 3; i++) await peer.ack();
      await peer.echo();
    },
  },
  {
    section: "Version 2: What a correct implementation must get right, 4",
    rule: "with windows that do not match all goes on, and none waits for the one second of an ACK",
    check: async (probe) => {
      const peer = await openNarrow(probe);
      const { heard } = peer;
      const sent = bytes(25 * heard.window);
      for (let at = 0; at < sent.length; at += heard.window) {
        await peer.echo(sent.subarray(at, at + heard.window));
      }
    },
  },
];
