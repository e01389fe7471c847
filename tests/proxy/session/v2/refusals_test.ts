import assert from "node:assert/strict";
import { resumeContent, resumeProofText } from "../../../../lib/scp/v2/mod.ts";
import { AckedClient } from "../../../helpers/acked_client.ts";
import { assertSameBytes } from "../../../helpers/bytes.ts";
import { TestProxy } from "../../../helpers/proxy.ts";
import { pattern } from "../../../helpers/random.ts";
import { ask } from "../../../helpers/raw_client.ts";

const ECHO = { hosts: [{ addr: "builtin:echo" }], shutdown_timeout: "10ms" };

/** The first lines of the answer to a record. */
async function answerTo(client: AckedClient, content: string): Promise<string> {
  const { link, answer } = await ask(client.address, content);
  link.close();
  return answer;
}

async function echoes(client: AckedClient): Promise<void> {
  const sent = pattern(client.session.sent, 1000);
  await client.send(sent);
  assertSameBytes(await client.receive(1000), sent);
}

/** A session that has echoed something, and what is a right request of its client, of which a test makes a wrong one. */
async function open(proxy: TestProxy): Promise<AckedClient> {
  const client = await AckedClient.open(proxy.address);
  await echoes(client);
  return client;
}

/** A request whose HMAC is right, whatever it says. */
function signed(client: AckedClient, { id = client.id, index = 1, received = client.session.received }): string {
  return resumeContent(id, index, { value: received, mac: client.sign(resumeProofText(id, index, received)) });
}

/** With another fifth line, or none. */
const withFifth = (content: string, ...fifth: string[]) => [...content.split("\n").slice(0, 4), ...fifth].join("\n");

Deno.test("requests that are refused disturb nobody, in the order of the protocol", async () => {
  await using proxy = TestProxy.start(ECHO);
  using client = await open(proxy);
  const fifth = signed(client, {}).split("\n")[4]!;
  const mac = fifth.split(" ")[2]!;
  const stranger = btoa("x".repeat(32));
  const wrong: [code: number, why: string, content: string][] = [
    [400, "no request at all", "nonsense"],
    [
      404,
      "no such session, although the rest is wrong too",
      withFifth(signed(client, { id: client.id === 1 ? 2 : client.id - 1 }), "2 x y"),
    ],
    [400, "a fifth line that does not begin with 2", withFifth(signed(client, {}), `3 ${fifth.slice(2)}`)],
    [400, "one that says another position than the third", withFifth(signed(client, {}), `2 1001 ${mac}`)],
    [400, "one whose position is above 2^53-1", withFifth(signed(client, {}), `2 9007199254741992 ${mac}`)],
    [400, "one with a leading zero", withFifth(signed(client, {}), `2 01000 ${mac}`)],
    [400, "one without an HMAC", withFifth(signed(client, {}), "2 1000")],
    [400, "one with an HMAC that is too short", withFifth(signed(client, {}), `2 1000 ${mac.slice(4)}`)],
    [401, "of version 1", withFifth(signed(client, {}))],
    [401, "a stranger's HMAC", withFifth(signed(client, {}), `2 1000 ${stranger}`)],
    [401, "the HMAC of another index", withFifth(signed(client, { index: 2 }), fifth)],
    [
      401,
      "a stranger's, with an index that was never used, and a position that was never sent",
      withFifth(signed(client, { index: 9, received: 5000 }), `2 5000 ${stranger}`),
    ],
  ];
  for (const [code, why, content] of wrong) {
    assert.equal(await answerTo(client, content), `0\n${code}`, why);
    assert.deepEqual(client.losses, [], why);
  }
  await echoes(client);
  // None of them has used an index.
  assert.equal(client.session.index, 0);
  await client.resume();
  await echoes(client);
  assert.equal(proxy.log.of("session resumed").length, 1);
});

Deno.test("what follows the fields of the fifth line is ignored", async () => {
  await using proxy = TestProxy.start(ECHO);
  using client = await open(proxy);
  assert.match(await answerTo(client, `${signed(client, {})} for later\nand more`), /^1000\n200\n2 1000 /);
});

Deno.test("a request that is replayed is refused, also when the session has ended", async () => {
  await using proxy = TestProxy.start(ECHO);
  using client = await open(proxy);
  const request = signed(client, { index: 5 });
  assert.match(await answerTo(client, request), /^1000\n200\n/);
  assert.equal(await answerTo(client, request), "0\n403");
  assert.equal(await answerTo(client, signed(client, { index: 4 })), "0\n403");
  const last = signed(client, { index: 6 });
  await proxy.proxy.endSession(client.id);
  assert.equal(await answerTo(client, request), "0\n403");
  assert.match(await answerTo(client, last), /^0\n410\n2 3 /);
  assert.equal(await answerTo(client, last), "0\n403");
});

Deno.test("a request that was overtaken is refused and uses its index; the link it wanted to replace goes on", async () => {
  await using proxy = TestProxy.start(ECHO);
  using client = await open(proxy);
  client.session.sayAck();
  await echoes(client); // with it goes the ACK
  const stale = signed(client, { index: 1, received: 999 });
  assert.equal(await answerTo(client, stale), "0\n403");
  await echoes(client);
  assert.deepEqual(client.losses, []);
  assert.equal(await answerTo(client, signed(client, { index: 1, received: 2000 })), "0\n403");
  assert.deepEqual((await proxy.stats()).resumes, { 403: 2 });
});

Deno.test("a RECEIVED above what was sent: 406, the session ends with 4, and its old link gets CLOSE 4; then it is 410", async () => {
  await using proxy = TestProxy.start(ECHO);
  using client = await open(proxy);
  assert.equal(await answerTo(client, signed(client, { index: 1, received: 1001 })), "0\n406");
  assert.equal((await client.ending()).code, 4);
  assert.match(await answerTo(client, signed(client, { index: 2, received: 1001 })), /^0\n410\n2 4 /);
  assert.match(String((await proxy.log.nth("session ended")).reason), /1001, of 1000 that were sent/);
});

Deno.test("of a session that has ended: 400, 401, 403 and 410 in this order; the code is authentic, and told as often as asked", async () => {
  await using proxy = TestProxy.start(ECHO);
  using client = await open(proxy);
  await proxy.proxy.endSession(client.id);
  const right = signed(client, { index: 1 });
  assert.equal(await answerTo(client, withFifth(right, "2 x y")), "0\n400");
  assert.equal(await answerTo(client, withFifth(right)), "0\n401");
  assert.equal(await answerTo(client, withFifth(right, `2 1000 ${btoa("x".repeat(32))}`)), "0\n401");
  // No position is asked of it.
  for (let i = 0; i < 3; i++) assert.equal(await client.askEnd(), 3);
  assert.match(await answerTo(client, signed(client, { index: 100, received: 10 ** 9 })), /^0\n410/);
  const { resumes } = await proxy.stats();
  assert.deepEqual(resumes, { 400: 1, 401: 2, 410: 4 });
  assert.equal((await proxy.gauges()).sessions.detached, 0);
});

Deno.test("in dialect plain the second lines have words, and the HMACs have none", async () => {
  await using proxy = TestProxy.start(ECHO);
  using client = await AckedClient.open(proxy.plainAddress, { dialect: "plain" });
  await echoes(client);
  await client.resume();
  await echoes(client);
  assert.match(await answerTo(client, withFifth(signed(client, { index: 2 }))), /^0\n401 Unauthorized$/);
  await proxy.proxy.endSession(client.id);
  assert.match(await answerTo(client, signed(client, { index: 3 })), /^0\n410 Gone\n2 3 /);
  assert.equal(await client.askEnd().catch(() => "index"), "index");
});

Deno.test("a session that ended is remembered for its own reuse_time, not for that of a reload, and then 404", async () => {
  let now = 0;
  await using proxy = TestProxy.start({ ...ECHO, scp: { v2: { reuse_time: "10s" } } }, { now: () => now });
  using client = await open(proxy);
  assert.equal(client.terms.reuse, 10_000);
  await proxy.proxy.endSession(client.id);
  now = 9999;
  assert.equal(await client.askEnd(), 3);
  now = 10_000;
  // The sessions are looked at about once a second.
  let answer = "";
  for (let index = 10; !answer.startsWith("0\n404"); index++) {
    answer = await answerTo(client, signed(client, { index }));
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
});

Deno.test("guesses count for limits.resume_failures_per_ip, and what has a right HMAC does not", async () => {
  await using proxy = TestProxy.start({ ...ECHO, limits: { resume_failures_per_ip: 3 } });
  using client = await open(proxy);
  await proxy.proxy.endSession(client.id);
  for (let i = 0; i < 5; i++) assert.equal(await client.askEnd(), 3);
  for (let i = 0; i < 3; i++) assert.equal(await answerTo(client, withFifth(signed(client, { index: 50 }))), "0\n401");
  assert.equal(await answerTo(client, signed(client, { index: 51 })), "0\n501");
});

Deno.test("200 forgeries at once disturb nobody", async () => {
  await using proxy = TestProxy.start(ECHO);
  using client = await open(proxy);
  const forged = withFifth(signed(client, {}), `2 1000 ${btoa("y".repeat(32))}`);
  const answers = await Promise.all(Array.from({ length: 200 }, () => answerTo(client, forged)));
  assert.deepEqual([...new Set(answers)], ["0\n401"]);
  await echoes(client);
});

Deno.test("50 resumes at once, in whatever order they come: each is answered, the last link has the session, and no byte is lost", async () => {
  await using proxy = TestProxy.start(ECHO);
  using client = await open(proxy);
  const contents = Array.from({ length: 50 }, (_, i) => signed(client, { index: i + 1 }));
  const answers = await Promise.all(contents.map((content) => answerTo(client, content)));
  for (const answer of answers) assert.match(answer, /^(1000\n200\n2 1000 \S+|0\n403)$/);
  assert.match(answers[49]!, /^1000\n200/);
  while (client.session.nextIndex() < 50);
  await client.resume();
  await echoes(client);
  assert.equal(await proxy.size(), 1);
  assert.equal((await proxy.gauges()).handshakes, 0);
});
