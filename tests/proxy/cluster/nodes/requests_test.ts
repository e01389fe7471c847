import assert from "node:assert/strict";
import type { Link } from "../../../../lib/link/link.ts";
import { writeAll } from "../../../../lib/link/link.ts";
import { messageOf } from "../../../../lib/proxy/cluster/nodes/messages.ts";
import {
  MOST_ANSWERED,
  MOST_ASKED,
  NoAnswer,
  Requests,
  serveRequests,
} from "../../../../lib/proxy/cluster/nodes/requests.ts";
import { WORKING } from "../../../helpers/engine.ts";
import { Stage } from "../../../helpers/engine_pair.ts";
import { errorOf, forwarding } from "../../../helpers/peer_stage.ts";
import { settled, until } from "../../../helpers/turns.ts";

const NOTHING = new Uint8Array(0);
const LONG = 20_000;

/** What came to be asked, each to be answered by the test. */
interface Heard {
  method: string;
  args: unknown;
  answer: (value?: unknown) => void;
  fail: (error: unknown) => void;
}

interface Both {
  requests: Requests;
  heard: Heard[];
  /** What serving came to. */
  served: Promise<unknown>;
  near: Link;
  far: Link;
}

function test(what: string, run: (both: Both, stage: Stage) => Promise<void>): void {
  for (const name of WORKING) {
    Deno.test(`${what}, over ${name}`, async () => {
      await using stage = Stage.open(name);
      const [near, far] = await stage.pair();
      const heard: Heard[] = [];
      const requests = new Requests(near, NOTHING);
      const served = serveRequests(far, NOTHING, (method, args) => {
        const { promise, resolve: answer, reject: fail } = Promise.withResolvers<unknown>();
        heard.push({ method, args, answer, fail });
        return promise;
      }).catch((error) => error);
      await run({ requests, heard, served, near, far }, stage);
      requests.close();
      await served;
    });
  }
}

/** The next that is heard. */
async function next(heard: Heard[]): Promise<Heard> {
  await until(() => heard.length > 0, () => "nothing was asked");
  return heard.shift()!;
}

test("what is asked is answered, in order, whatever it is", async ({ requests, heard }) => {
  const values = [1, null, "\u2603 \ud83d\ude00", { a: [1, { b: false }] }, "x".repeat(500_000), undefined, []];
  const answers = values.map((value, at) => requests.ask(`method ${at}`, value, LONG));
  for (const [at, value] of values.entries()) {
    const { method, args, answer } = await next(heard);
    assert.deepEqual([method, args], [`method ${at}`, value]);
    assert.equal(heard.length, 0, "another was asked before this one was answered");
    answer(value);
    assert.deepEqual(await answers[at], value ?? null);
  }
});

test("why a peer cannot is told, and it goes on", async ({ requests, heard }) => {
  const asked = errorOf(requests.ask("move", { id: 1 }, LONG));
  (await next(heard)).fail(new Error("no such session"));
  assert.equal(String(await asked), "Error: no such session");
  const again = requests.ask("snapshot", undefined, LONG);
  (await next(heard)).answer({ sessions: 1 });
  assert.deepEqual(await again, { sessions: 1 });
});

test("too much is neither asked nor answered, and it goes on", async ({ requests, heard }) => {
  assert.match(String(await errorOf(requests.ask("a", "x".repeat(MOST_ASKED), LONG))), /at most 1048576 are taken/);
  const asked = errorOf(requests.ask("b", 1, LONG));
  (await next(heard)).answer("x".repeat(MOST_ANSWERED));
  assert.match(String(await asked), /at most 16777216 are taken/);
  const most = requests.ask("c", 1, LONG);
  (await next(heard)).answer("x".repeat(MOST_ANSWERED - '{"value":""}'.length));
  assert.equal((await most as string).length, MOST_ANSWERED - 12);
});

test("a peer that does not answer in time is lost, with all that waited", async ({ requests, heard, served, far }) => {
  const first = errorOf(requests.ask("watch", 1, 20));
  const second = errorOf(requests.ask("watch", 2, LONG));
  const late = await next(heard);
  for (const error of await Promise.all([first, second])) {
    assert(error instanceof NoAnswer);
    assert.match(error.message, /no answer to watch within 20 ms/);
  }
  assert.match(await requests.lost, /within 20 ms/);
  assert((await errorOf(requests.ask("watch", 3, LONG))) instanceof NoAnswer);
  late.answer(1);
  await served; // its answer, or the end, comes to nobody
  assert.equal(heard.length, 0);
  await assert.rejects(async () => {
    for (;;) await writeAll(far, new Uint8Array(1));
  });
});

test("what did not get its turn in time was never asked, and nothing is lost", async ({ requests, heard }) => {
  const first = requests.ask("slow", 1, LONG);
  const one = await next(heard);
  const second = await errorOf(requests.ask("hasty", 2, 5));
  assert(second instanceof NoAnswer);
  const third = requests.ask("third", 3, LONG);
  one.answer("in the end");
  assert.equal(await first, "in the end");
  const { method, answer } = await next(heard);
  assert.equal(method, "third");
  answer();
  await third;
  assert.equal(await settled(requests.lost), false);
});

test("a peer that closes is lost at once, asked or not", async ({ requests, far }) => {
  far.close();
  assert.match(await requests.lost, /closed the connection/);
  assert((await errorOf(requests.ask("watch", 1, LONG))) instanceof NoAnswer);
});

test("a peer that resets is lost, and what was asked is not answered", async ({ requests, heard, far }) => {
  const asked = errorOf(requests.ask("watch", 1, LONG));
  const { answer } = await next(heard);
  far.reset!();
  assert((await asked) instanceof NoAnswer);
  assert.match(await requests.lost, /reset/i);
  answer();
});

test("who closes has no answers any more, and the peer hears the end", async ({ requests, heard, served }) => {
  const asked = errorOf(requests.ask("watch", 1, LONG));
  const { answer } = await next(heard);
  requests.close();
  requests.close();
  assert((await asked) instanceof NoAnswer);
  assert.equal(await requests.lost, "it was closed here");
  answer();
  await served;
});

test("an answer to nothing loses the connection", async ({ requests, far }) => {
  await writeAll(far, messageOf({ value: 1 }, 100));
  assert.match(await requests.lost, /an answer to nothing/);
});

test("an answer that comes before all is asked does not mix what is written", async (_both, stage) => {
  const [near, far] = await stage.pair();
  const written: Uint8Array[] = [];
  const blocked = Promise.withResolvers<void>();
  const requests = new Requests({
    ...forwarding(near),
    async write(bytes) {
      written.push(bytes.slice());
      await blocked.promise;
      return bytes.length;
    },
  }, NOTHING);
  const [first, second] = [requests.ask("one", 1, LONG), requests.ask("two", 2, LONG)];
  await writeAll(far, messageOf({ value: "early" }, 100));
  assert.equal(await first, "early");
  assert.equal(written.length, 1);
  blocked.resolve();
  await until(() => written.length === 2, () => "the second was never asked");
  await writeAll(far, messageOf({ value: "then" }, 100));
  assert.equal(await second, "then");
  requests.close();
});
