import { writeAll } from "../../link/link.ts";
import { encodeRecord } from "../../scp/mod.ts";
import { answerOn, Broken } from "./probe.ts";
import { RESUME_RULES } from "./resume_rules.ts";
import { bytes, expectCode, expectEcho, expectRefusal, type Rule } from "./rule.ts";

/** A valid public key. */
const KEY = "782riWdFIwE=";

const NEW_SESSION_RULES: Rule[] = [
  {
    section: "New session",
    rule: "a request has 2, 3 or 4 lines, or more that are ignored",
    check: async (probe) => {
      for (const content of [`0\n${KEY}`, `0\n${KEY}\n`, `0\n${KEY}\n\n0`, `0\n${KEY}\n\n1\nmore`]) {
        const { answer } = await probe.ask(content);
        if (!/^[1-9]\d*\n[A-Za-z0-9+/]{11}=/.test(answer)) throw new Broken(`the answer is ${JSON.stringify(answer)}`);
      }
    },
  },
  {
    section: "New session",
    rule: "a request that comes byte by byte is understood",
    check: async (probe) => {
      const link = await probe.connect();
      for (const byte of encodeRecord(`0\n${KEY}\n\n0`)) await writeAll(link, Uint8Array.of(byte));
      await answerOn(link);
    },
  },
  {
    section: "Computations",
    rule: "the stream is carried both ways",
    check: async (probe) => {
      const { session, link } = await probe.open();
      for (const count of [1, 100, 5000]) await expectEcho(session, link, bytes(count));
    },
  },
  {
    section: "Resume",
    rule: "what does not parse is answered with 400, received 0",
    check: async (probe) => {
      for (const content of ["hello", `0\n${KEY.slice(1)}`, "1\nx\n0\nAAAAAAAAAAA=", `0\n${KEY}\nwith-dash`]) {
        await expectRefusal(probe, content, 400);
      }
    },
  },
  {
    section: "Computations",
    rule: "a public key that is 0 mod p is refused with 400",
    check: (probe) => expectRefusal(probe, "0\nAAAAAAAAAAA=", 400),
  },
  {
    section: "What a correct proxy must get right, 7",
    rule: "ids are not to be guessed in sequence",
    check: async (probe) => {
      const ids: number[] = [];
      for (let i = 0; i < 4; i++) ids.push((await probe.open()).session.id);
      const steps = ids.slice(1).map((id, i) => Math.abs(id - ids[i]!));
      if (steps.every((step) => step < 1000)) throw new Broken(`four in a row are ${ids.join(", ")}`);
    },
  },
  {
    section: "What a correct proxy must get right, 8",
    rule: "a record longer than a handshake can be is refused at its length",
    check: async (probe) => {
      const link = await probe.connect();
      await writeAll(link, Uint8Array.of(0xff, 0xff));
      expectCode((await answerOn(link)).answer, 400);
    },
  },
];

/** Every rule that is tried, in this order. */
export const RULES: Rule[] = [...NEW_SESSION_RULES, ...RESUME_RULES];
