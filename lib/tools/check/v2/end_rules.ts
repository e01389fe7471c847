import { Broken, type Probe } from "../probe.ts";
import { bytes, expectCode, type Rule } from "../rule.ts";
import { closeFrame, dataFrame } from "./frames.ts";
import { expectGone } from "./gone.ts";
import { openPeer } from "./offering.ts";
import type { Peer } from "./peer.ts";

const section = "Version 2: Ends";
/** Milliseconds that the rules are still for, where nothing must come. */
const STILL = 300;

/** A session of which both directions have ended, and the client has not acknowledged that. */
async function openEnded(probe: Probe, count: number): Promise<Peer> {
  const peer = await openPeer(probe);
  await peer.write(peer.data(bytes(count)), peer.fin());
  await peer.expect(bytes(count));
  await peer.until(() => peer.heard.hasEnded, "FIN");
  return peer;
}

/** Expects that the server closes the link of a client that said CLOSE, answers nothing, and remembers it. */
async function expectTaken(probe: Probe, code: number): Promise<void> {
  const peer = await openPeer(probe);
  await peer.echo();
  await peer.write(closeFrame(code, "by hand"));
  await peer.expectEnd();
  if (peer.heard.closed) throw new Broken(`CLOSE ${code} was answered with CLOSE ${peer.heard.closed.code}`);
  await expectGone(peer, code);
}

export const END_RULES: Rule[] = [
  {
    section,
    rule: "FIN is a half-close that passes through, and is acknowledged at once",
    check: async (probe) => {
      const peer = await openPeer(probe);
      const most = await peer.atOnce();
      await peer.echo();
      await peer.write(peer.data(bytes(100, 1)), peer.fin());
      await peer.until(() => peer.heard.acked === peer.heard.sent, "an ACK of the FIN", most);
      await peer.expect(bytes(100, 1));
      await peer.until(() => peer.heard.hasEnded, "FIN");
    },
  },
  {
    section,
    rule: "when both directions are consumed the server says CLOSE 0, and not before",
    check: async (probe) => {
      const peer = await openEnded(probe, 100);
      await peer.ack(100);
      await peer.listen(STILL);
      if (peer.heard.closed) throw new Broken(`CLOSE ${peer.heard.closed.code} came before its FIN was acknowledged`);
      await peer.ack();
      await peer.expectClose(0);
    },
  },
  {
    section,
    rule: "an end that was said is told again, by 410 with its code, as often as it is asked for",
    check: async (probe) => {
      const peer = await openEnded(probe, 100);
      await peer.ack();
      await peer.expectClose(0);
      for (let i = 0; i < 3; i++) await expectGone(peer, 0);
    },
  },
  {
    section: "Version 2: Resume",
    rule: "of a session that has ended a wrong HMAC learns nothing but 401, and an index that was used 403",
    check: async (probe) => {
      const peer = await openPeer(probe);
      await peer.write(closeFrame(7));
      await peer.expectEnd();
      await expectGone(peer, 7);
      const content = peer.request({ index: peer.index });
      expectCode((await probe.ask(content)).answer, 403);
      const lines = peer.request().split("\n");
      expectCode((await probe.ask(lines.with(1, String(peer.index + 1)).join("\n"))).answer, 401);
      expectCode((await probe.ask(lines.slice(0, 4).join("\n"))).answer, 401);
    },
  },
  {
    section,
    rule: "CLOSE 0 of the client ends the session, and is answered by nothing",
    check: (probe) => expectTaken(probe, 0),
  },
  {
    section,
    rule: "CLOSE 7 of the client ends the session, and is answered by nothing",
    check: (probe) => expectTaken(probe, 7),
  },
  {
    section,
    rule: "the end after a protocol error is told again, by 410 with 4",
    check: async (probe) => {
      const peer = await openPeer(probe);
      await peer.write(dataFrame(new Uint8Array(0)));
      await peer.expectClose(4);
      await expectGone(peer, 4);
    },
  },
];
