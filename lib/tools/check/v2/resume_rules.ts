import { parseAnswerProof } from "../../../scp/v2/mod.ts";
import { Broken } from "../probe.ts";
import { bytes, type Rule } from "../rule.ts";
import { joined } from "../../../link/joined.ts";
import { openNarrow, openPeer } from "./offering.ts";
import { Line } from "./line.ts";

const section = "Version 2: Resume";
const LONG = 3000;

export const RESUME_RULES: Rule[] = [
  {
    section,
    rule: "a resume is answered with RECEIVED mod 2^32, 200 or in plain 200 OK, and RECEIVED with its HMAC",
    check: async (probe) => {
      const peer = await openPeer(probe);
      await peer.echo();
      const resumed = await probe.ask(peer.request());
      const [, line] = resumed.answer.split("\n");
      const expected = probe.dialect === "plain" ? "200 OK" : "200";
      await peer.goOn(resumed);
      if (line !== expected) {
        throw new Broken(`its second line is ${JSON.stringify(line)}, where ${expected} was expected`);
      }
      const received = parseAnswerProof(resumed.answer)!.value;
      if (received !== 100) throw new Broken(`its RECEIVED is ${received}, where 100 were consumed`);
    },
  },
  {
    section,
    rule: "a resume goes on where each side stopped, and what was missed is sent again exactly",
    check: async (probe) => {
      const peer = await openNarrow(probe);
      await peer.send(bytes(LONG));
      await peer.expect(bytes(10));
      await peer.until(() => peer.heard.received === LONG, `byte ${LONG} of the stream`);
      peer.forget(10);
      peer.link.close();
      await peer.resume();
      await peer.expect(bytes(LONG).subarray(10));
      await peer.ack();
      await peer.echo();
    },
  },
  {
    section: "Version 2: What a correct implementation must get right, 2",
    rule: "a link that is cut anywhere in a frame is no error: the session resumes, and no byte is lost or doubled",
    check: async (probe) => {
      const peer = await openPeer(probe);
      for (const [round, cut] of [1, 2, 3, 50, 102].entries()) {
        const sent = bytes(100, round);
        await peer.write(peer.data(sent).subarray(0, cut));
        await peer.link.closeWrite();
        peer.link.close();
        await peer.resume();
        await peer.expect(sent);
        await peer.ack();
      }
    },
  },
  {
    section: "Version 2: What a correct implementation must get right, 1",
    rule: "a resume takes the place of a link that is open, with bytes on their way, and no byte is lost or doubled",
    check: async (probe) => {
      const peer = await openPeer(probe);
      for (let round = 0; round < 5; round++) {
        await peer.send(bytes(LONG, round));
        await peer.resume();
        await peer.expect(bytes(LONG, round));
        await peer.ack();
      }
    },
  },
  {
    section,
    rule: "the link that a resume took the place of is closed, without a CLOSE",
    check: async (probe) => {
      const peer = await openPeer(probe);
      const former = new Line(await peer.resume(), 0, () => {});
      await former.expectEnd();
      if (former.heard.closed) throw new Broken(`it was told CLOSE ${former.heard.closed.code}`);
      await peer.echo();
    },
  },
  {
    section: "Version 2: Flow",
    rule: "ACK is sent at once after a resume, also when it says nothing new",
    check: async (probe) => {
      const peer = await openPeer(probe);
      await peer.echo();
      const most = await peer.atOnce();
      for (let i = 0; i < 3; i++) {
        const before = peer.heard.acks;
        await peer.resume();
        await peer.until(() => peer.heard.acks > before, "an ACK", most);
      }
    },
  },
  {
    section: "Version 2: What a correct implementation must get right, 6",
    rule: "FIN is sent again after a resume, from either side",
    check: async (probe) => {
      const peer = await openPeer(probe);
      const sent = peer.data(bytes(LONG));
      peer.fin();
      // Of the FIN the server gets nothing before the resume.
      await peer.write(sent);
      await peer.resume();
      await peer.expect(bytes(LONG));
      await peer.until(() => peer.heard.hasEnded, "FIN");
      for (const received of [LONG - 1, LONG]) {
        peer.forget(received);
        await peer.resume();
        await peer.until(() => peer.heard.hasEnded, "FIN");
      }
      await peer.expect(bytes(LONG).subarray(LONG - 1));
      await peer.ack();
      await peer.expectClose(0);
    },
  },
  {
    section: "Version 2: What a correct implementation must get right, 5",
    rule: "bytes go both ways over many links that come and go",
    check: async (probe) => {
      const peer = await openNarrow(probe);
      let all = new Uint8Array(0);
      for (let round = 0; round < 10; round++) {
        const sent = bytes(1000, round);
        all = joined(all, sent);
        await peer.send(sent);
        if (round % 3 === 0) peer.link.close();
        await peer.resume();
        await peer.expect(sent);
        await peer.ack();
      }
    },
  },
];
