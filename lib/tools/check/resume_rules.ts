import type { Link } from "../../link/link.ts";
import { hmac64, hmac64Md5, parseResumeAnswer, type Session } from "../../scp/mod.ts";
import { Broken, receive, send, skip } from "./probe.ts";
import { bytes, expectCode, expectEcho, expectRefusal, expectSame, type Rule } from "./rule.ts";

const LONG = 5000;
/** What a resend cache is tried to hold, in bytes: at first, and at the last; each time twice as much. */
const LEAST_CACHED = 2 ** 17;
const MOST_CACHED = 2 ** 24;
/** As many bytes as may be under way to an echo: the kernels and the server hold them. */
const PIECE = 2 ** 14;

/** Has so many bytes echoed that the server must keep them to be sent again. */
async function fillCache(session: Session, link: Link, count: number): Promise<number> {
  for (let done = 0; done < count; done += PIECE) {
    await send(session, link, bytes(PIECE));
    await skip(link, PIECE);
  }
  return count;
}

export const RESUME_RULES: Rule[] = [
  {
    section: "Two dialects",
    rule: "the second line of a resume's answer is that of the dialect: 200, or 200 OK in plain",
    check: async (probe) => {
      const { session } = await probe.open();
      const [, line] = (await probe.request(session.nextResume())).answer.split("\n");
      const expected = probe.dialect === "plain" ? "200 OK" : "200";
      if (line !== expected) throw new Broken(`it is ${JSON.stringify(line)}, where ${expected} was expected`);
    },
  },
  {
    section: "Resume",
    rule: "an id that is no session's is answered with 404",
    check: (probe) => expectRefusal(probe, "4294967295\n1\n0\nAAAAAAAAAAA=", 404),
  },
  {
    section: "Resume",
    rule: "a resume goes on where each side stopped, and the missed bytes are sent again",
    check: async (probe) => {
      const { session, link } = await probe.open();
      await send(session, link, bytes(LONG));
      await receive(session, link, 10);
      link.close();
      const resumed = await probe.resume(session);
      expectSame(await receive(session, resumed.link, LONG - 10, resumed.rest), bytes(LONG).subarray(10));
      await expectEcho(session, resumed.link, bytes(100, 3));
    },
  },
  {
    section: "What a correct proxy must get right, 1",
    rule: "a resume takes the place of a connection that is open, and no byte is lost or doubled",
    check: async (probe) => {
      const { session, link } = await probe.open();
      let now = link;
      for (let round = 0; round < 5; round++) {
        await send(session, now, bytes(LONG, round));
        const resumed = await probe.resume(session);
        now = resumed.link;
        expectSame(await receive(session, now, LONG, resumed.rest), bytes(LONG, round));
      }
    },
  },
  {
    section: "What a correct proxy must get right, 1",
    rule: "the connection that a resume took the place of is closed",
    check: async (probe) => {
      const { session, link } = await probe.open();
      await probe.resume(session);
      // A reset is as good.
      const n = await link.read(new Uint8Array(1)).catch(() => null);
      if (n !== null) throw new Broken("a byte of the stream came over it");
    },
  },
  {
    section: "Resume",
    rule: "a wrong hmac is refused with 401, and the session goes on",
    check: async (probe) => {
      const { session, link } = await probe.open();
      const request = session.nextResume();
      expectCode((await probe.request({ ...request, hmac: request.hmac ^ 1n })).answer, 401);
      await expectEcho(session, link);
    },
  },
  {
    section: "Computations",
    rule: "either hmac authorises a resume: hmac64_md5, as goscon computes it, or hmac64, as skynet does",
    check: async (probe) => {
      const { session } = await probe.open();
      for (const [name, hmac] of [["hmac64_md5", hmac64Md5], ["hmac64", hmac64]] as const) {
        const { code } = parseResumeAnswer((await probe.request(session.nextResume(hmac))).answer);
        if (code !== 200) throw new Broken(`one with ${name} was answered with ${code}, where 200 was expected`);
      }
    },
  },
  {
    section: "Resume",
    rule: "an index that was used is refused with 403, and the session goes on; gaps are fine",
    check: async (probe) => {
      const { session } = await probe.open();
      for (let i = 0; i < 5; i++) session.nextResume();
      const request = session.nextResume();
      const { link, answer } = await probe.request(request);
      expectCode(answer, 200);
      expectCode((await probe.request(request)).answer, 403);
      await expectEcho(session, link);
    },
  },
  {
    section: "Resume",
    rule: "a peer that claims more than was sent is refused with 406, and the session ends",
    check: async (probe) => {
      const { session, link } = await probe.open();
      await expectEcho(session, link);
      session.open(new Uint8Array(1000));
      expectCode((await probe.request(session.nextResume())).answer, 406);
      expectCode((await probe.request(session.nextResume())).answer, 404);
    },
  },
  {
    section: "Resume",
    rule: "a peer that lacks more than the resend cache holds is refused with 406, and the session ends",
    check: async (probe) => {
      const { session, link } = await probe.open();
      let [now, lacking] = [link, 0];
      while (lacking < MOST_CACHED) {
        // What is not opened does not count as received: the peer lacks all that it was ever sent.
        lacking += await fillCache(session, now, Math.max(lacking, LEAST_CACHED));
        const resumed = await probe.request(session.nextResume());
        if (parseResumeAnswer(resumed.answer).code !== 200) {
          expectCode(resumed.answer, 406);
          return expectCode((await probe.request(session.nextResume())).answer, 404);
        }
        now = resumed.link;
        await skip(now, lacking - resumed.rest.length);
      }
      throw new Broken(`all of ${lacking} bytes were sent again: try it with a smaller cache`);
    },
  },
];
