import { FLAG_VERSION_2, LARGEST_WINDOW, LEAST_WINDOW } from "../../../scp/v2/mod.ts";
import { encodeRecord, Session } from "../../../scp/mod.ts";
import { answerOn, Broken, type Probe } from "../probe.ts";
import { bytes, expectCode, expectEcho, expectRefusal, type Rule } from "../rule.ts";
import { trickle } from "./frames.ts";
import { newOffering, openPeer, takePeer } from "./offering.ts";

const section = "Version 2: Negotiation";

/** Offers as they must not be, made of one that is right. */
const MALFORMED: [what: string, line: (key: string) => string][] = [
  ["the first field is 1", (key) => `1 ${key} 65536`],
  ["the first field is 02", (key) => `02 ${key} 65536`],
  ["the window is missing", (key) => `2 ${key}`],
  ["the window is too small", (key) => `2 ${key} ${LEAST_WINDOW - 1}`],
  ["the window is too large", (key) => `2 ${key} ${LARGEST_WINDOW + 1}`],
  ["the window has a leading zero", (key) => `2 ${key} 065536`],
  ["the window is no decimal number", (key) => `2 ${key} 0x10000`],
  ["two spaces stand between fields", (key) => `2  ${key} 65536`],
  ["the key has no padding", (key) => `2 ${key.replace("=", "")} 65536`],
  ["the key is compressed", () => `2 ${btoa("\x02" + "\x11".repeat(32))} 65536`],
  ["the key is no point of the curve", () => `2 ${btoa("\x04" + "\x11".repeat(64))} 65536`],
];

/** The lines of an offer, of which the fifth is that of version 2. */
function linesOf(content: string): string[] {
  const lines = content.split("\n");
  if (lines.length !== 5) throw new Error("an offer has five lines");
  return lines;
}

/** Expects a session of version 1 for an offer of which some lines are others. */
async function expectVersion1(probe: Probe, change: (lines: string[]) => void, what: string): Promise<void> {
  const offering = newOffering(probe.dialect);
  const lines = linesOf(offering.content);
  change(lines);
  const { link, answer, rest } = await probe.ask(lines.join("\n"));
  if (answer.split("\n").length !== 2) throw new Broken(`${what}: the answer has more than two lines`);
  const { version1 } = offering.finish(answer);
  if (version1) await expectEcho(new Session({ ...version1, cacheSize: 2 ** 20 }), link, bytes(100), rest);
}

export const NEGOTIATION_RULES: Rule[] = [
  {
    section,
    rule: "an offer is answered with a third line: 2 KEY WINDOW PING REUSE, each in its range; KEY is a point of P-256",
    check: async (probe) => {
      const { content, take } = newOffering(probe.dialect);
      const { answer } = await probe.ask(content);
      take(answer);
    },
  },
  {
    section,
    rule: "the least and the largest window are taken; fields and lines that follow are ignored",
    check: async (probe) => {
      for (const window of [LEAST_WINDOW, LARGEST_WINDOW]) {
        const peer = await openPeer(probe, newOffering(probe.dialect, { window, more: " more\nmore" }));
        await peer.echo();
        await peer.resume();
      }
    },
  },
  {
    section,
    rule: "bit 1 without a fifth line, and a fifth line without bit 1, make sessions of version 1",
    check: async (probe) => {
      await expectVersion1(probe, (lines) => lines.pop(), "bit 1 without a fifth line");
      await expectVersion1(probe, (lines) => lines[3] = String(FLAG_VERSION_2 - 1), "a fifth line without bit 1");
    },
  },
  {
    section,
    rule: "a malformed offer is refused with 400",
    check: async (probe) => {
      for (const [what, line] of MALFORMED) {
        const lines = linesOf(newOffering(probe.dialect).content);
        const offered = line(lines.pop()!.split(" ")[1]!);
        const { answer } = await probe.ask([...lines, offered].join("\n"));
        if (/^[1-9]\d*\n[A-Za-z0-9+/]{11}=/.test(answer)) throw new Broken(`${what}: it was taken`);
        expectCode(answer, 400);
      }
      await expectRefusal(probe, linesOf(newOffering(probe.dialect).content).with(4, "").join("\n"), 400);
    },
  },
  {
    section,
    rule: "an offer that comes byte by byte is understood",
    isSlow: true,
    check: async (probe) => {
      const offering = newOffering(probe.dialect);
      const link = await probe.connect();
      await trickle(link, encodeRecord(offering.content));
      await takePeer(probe, offering, { link, ...await answerOn(link) }).echo();
    },
  },
  {
    section,
    rule: "sessions have keys of their own: each is resumed with its own, and with no other",
    check: async (probe) => {
      const peers = await Promise.all([1, 2, 3].map(() => openPeer(probe)));
      if (new Set(peers.map(({ id }) => id)).size < 3) throw new Broken("two of three sessions have one id");
      const [one, other] = peers;
      const [, ...more] = one!.request().split("\n");
      expectCode((await probe.ask([other!.id, ...more].join("\n"))).answer, 401);
      for (const [i, peer] of peers.entries()) {
        await peer.resume();
        await peer.echo(bytes(100, i));
      }
    },
  },
];
