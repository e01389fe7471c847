import { hashkey, hmac64Md5 } from "../../../scp/mod.ts";
import { formatMessage, resumeText } from "../../../scp/message.ts";
import type { Probe } from "../probe.ts";
import { bytes, expectCode, expectEcho, expectRefusal, type Rule } from "../rule.ts";
import { openPeer } from "./offering.ts";
import { expectGone } from "./gone.ts";
import type { Peer } from "./peer.ts";

const section = "Version 2: Resume";

/** Expects that requests are refused with that code, and that the session goes on over its link. */
async function expectHarmless(probe: Probe, code: number, ...requests: ((peer: Peer) => string)[]): Promise<void> {
  const peer = await openPeer(probe);
  await peer.resume();
  await peer.echo();
  for (const request of requests) {
    expectCode((await probe.ask(request(peer))).answer, code);
    await peer.echo();
  }
  await peer.resume();
  await peer.echo();
}

/** A request whose HMAC is wrong. */
function forged(peer: Peer, options?: { index: number }): string {
  const content = peer.request(options);
  const at = content.lastIndexOf(" ") + 1;
  return content.slice(0, at) + (content[at] === "A" ? "B" : "A") + content.slice(at + 1);
}

/** One whose fifth line is another. */
function withProof(peer: Peer, change: (line: string) => string): string {
  const lines = peer.request().split("\n");
  return lines.with(4, change(lines[4]!)).join("\n");
}

/** A request of version 1, with the hmac of that. */
function ofVersion1({ id, index, heard, secret }: Peer): string {
  const request = { id, index: index + 1, received: heard.received };
  const hmac = hmac64Md5(hashkey(new TextEncoder().encode(resumeText(request))), secret);
  return formatMessage({ kind: "resume", ...request, hmac });
}

export const REFUSAL_RULES: Rule[] = [
  {
    section,
    rule: "an id that is no session's is answered with 404, whatever its fifth line is",
    check: async (probe) => {
      for (const proof of ["", "\n2 0 AAAA", `\n2 0 ${"A".repeat(43)}=`]) {
        await expectRefusal(probe, `4294967295\n1\n0\nAAAAAAAAAAA=${proof}`, 404);
      }
    },
  },
  {
    section,
    rule:
      "a fifth line that does not parse, or whose RECEIVED is not line 3, is refused with 400, and the session goes on",
    check: (probe) =>
      expectHarmless(
        probe,
        400,
        (peer) => withProof(peer, () => "2 0"),
        (peer) => withProof(peer, (line) => line.replace("2 ", "3 ")),
        (peer) => withProof(peer, (line) => line.replace("2 ", "2 0")),
        (peer) => withProof(peer, (line) => line.replace(/ \d+ /, ` ${peer.heard.received - 1} `)),
      ),
  },
  {
    section,
    rule: "a request of version 1 is refused with 401, and the session goes on",
    check: (probe) => expectHarmless(probe, 401, ofVersion1),
  },
  {
    section,
    rule: "for a session of version 1 its own hmac decides, and a fifth line is ignored",
    check: async (probe) => {
      const { session } = await probe.open();
      for (const proof of ["2 0", `2 0 ${"A".repeat(43)}=`]) {
        const content = formatMessage(session.nextResume());
        const { link, answer, rest } = await probe.ask(`${content}\n${proof}`);
        expectCode(answer, 200);
        await expectEcho(session, link, bytes(100), rest);
      }
    },
  },
  {
    section,
    rule: "a wrong HMAC is refused with 401, also with an index that was used, and the session goes on",
    check: (probe) => expectHarmless(probe, 401, forged, (peer) => forged(peer, { index: 1 })),
  },
  {
    section,
    rule: "an index that was used is refused with 403, and the session goes on; gaps are fine",
    check: async (probe) => {
      const peer = await openPeer(probe);
      peer.index += 5;
      await peer.resume();
      for (const index of [peer.index, peer.index - 1]) {
        expectCode((await probe.ask(peer.request({ index }))).answer, 403);
      }
      await peer.echo();
    },
  },
  {
    section,
    rule: "a RECEIVED below the last ACK of the client is refused with 403, and the session goes on",
    check: async (probe) => {
      const peer = await openPeer(probe);
      await peer.echo();
      // A PONG says that the ACK has come.
      await peer.ping();
      expectCode((await probe.ask(peer.request({ received: peer.heard.received - 1 }))).answer, 403);
      await peer.echo();
    },
  },
  {
    section,
    rule:
      "a RECEIVED above what was sent is refused with 406, and the session ends with code 4, which its link is told",
    check: async (probe) => {
      const peer = await openPeer(probe);
      await peer.echo();
      expectCode((await probe.ask(peer.request({ received: peer.heard.received + 1 }))).answer, 406);
      await peer.expectClose(4);
      await expectGone(peer, 4);
    },
  },
];
