import { ACK, MOVE, PING, PONG } from "../../../scp/v2/frame.ts";
import type { Probe } from "../probe.ts";
import { bytes, type Rule } from "../rule.ts";
import { joined } from "../../../link/joined.ts";
import { fill } from "./filling.ts";
import { dataFrame, finFrame, numberFrame, skippedFrame, trickle } from "./frames.ts";
import { openNarrow, openPeer } from "./offering.ts";
import type { Peer } from "./peer.ts";

const section = "Version 2: Frames";

/** Expects that each of these breaks the protocol, each in a session of its own. */
async function expectErrors(probe: Probe, ...wrong: ((peer: Peer) => Uint8Array)[]): Promise<void> {
  for (const frames of wrong) {
    const peer = await openPeer(probe);
    await peer.echo();
    await peer.write(frames(peer));
    await peer.expectClose(4);
  }
}

const ERROR_RULES: Rule[] = [
  {
    section,
    rule: "a frame of a type that is none is answered with CLOSE 4",
    check: (probe) => expectErrors(probe, ...[0, 8, 127].map((type) => () => Uint8Array.of(type, 0, 0, 0, 0))),
  },
  {
    section,
    rule: "a DATA of no bytes is answered with CLOSE 4",
    check: (probe) => expectErrors(probe, () => dataFrame(new Uint8Array(0))),
  },
  {
    section,
    rule: "DATA or FIN beyond the window is answered with CLOSE 4, as soon as the header tells it",
    isSlow: true,
    check: async (probe) => {
      const beyond = async (frame: Uint8Array) => {
        const peer = await openNarrow(probe);
        await fill(peer);
        await peer.write(frame);
        await peer.expectClose(4);
      };
      await Promise.all([beyond(dataFrame(new Uint8Array(1)).subarray(0, 3)), beyond(finFrame())]);
    },
  },
  {
    section,
    rule: "DATA or FIN after FIN is answered with CLOSE 4",
    check: (probe) =>
      expectErrors(
        probe,
        (peer) => joined(peer.fin(), dataFrame(bytes(1))),
        (peer) => joined(peer.fin(), finFrame()),
      ),
  },
  {
    section,
    rule: "an ACK of what was never sent, or that goes back, is answered with CLOSE 4",
    check: (probe) =>
      expectErrors(
        probe,
        ({ heard }) => numberFrame(ACK, heard.received + 1),
        ({ heard }) => numberFrame(ACK, heard.received - 1),
      ),
  },
  {
    section,
    rule: "a MOVE from the client is answered with CLOSE 4",
    check: (probe) => expectErrors(probe, () => Uint8Array.of(MOVE, 1, 120)),
  },
];

export const FRAME_RULES: Rule[] = [
  {
    section,
    rule: "the stream is carried both ways, in DATA of any sizes",
    check: async (probe) => {
      const peer = await openPeer(probe);
      for (const count of [1, 100, 5000, 40_000]) await peer.echo(bytes(count, count));
      await peer.until(() => peer.heard.acked === peer.heard.sent, "an ACK of all");
      const sent = bytes(Math.min(60_000, peer.terms.window));
      await peer.write(peer.data(sent));
      await peer.expect(sent);
    },
  },
  {
    section,
    rule: "PING is answered at once by a PONG of the same number",
    check: async (probe) => {
      const peer = await openPeer(probe);
      const most = await peer.atOnce();
      for (const number of [0, 7, 2 ** 31, 2 ** 32 - 1]) await peer.ping(number, most);
    },
  },
  {
    section,
    rule: "a PONG that answers nothing is ignored",
    check: async (probe) => {
      const peer = await openPeer(probe);
      await peer.write(numberFrame(PONG, 7));
      await peer.echo();
    },
  },
  {
    section,
    rule: "frames of the types 128 to 255 are skipped",
    check: async (probe) => {
      const peer = await openPeer(probe);
      await peer.write(skippedFrame(128, 3), skippedFrame(200, 0), skippedFrame(255, 65_535));
      await peer.echo();
    },
  },
  {
    section,
    rule: "frames that come byte by byte are understood",
    isSlow: true,
    check: async (probe) => {
      const peer = await openPeer(probe);
      const frames = () =>
        joined(peer.data(bytes(3)), numberFrame(PING, 9), skippedFrame(200, 2), peer.data(bytes(2, 1)), peer.fin());
      await trickle(peer.link, frames());
      await peer.expect(joined(bytes(3), bytes(2, 1)));
      await peer.until(() => peer.heard.pongs.includes(9), "a PONG of 9");
      await peer.until(() => peer.heard.hasEnded, "FIN");
    },
  },
  {
    section: "Version 2: What a correct implementation must get right, 12",
    rule: "10,000 DATA of one byte in one write are understood",
    check: async (probe) => {
      const peer = await openPeer(probe);
      const sent = bytes(Math.min(10_000, peer.terms.window));
      await peer.write(joined(...Array.from(sent, (_, i) => peer.data(sent.subarray(i, i + 1)))));
      await peer.expect(sent);
    },
  },
  ...ERROR_RULES,
];
