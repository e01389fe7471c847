import assert from "node:assert/strict";
import { connectPort, type Port } from "../../../../lib/proxy/cluster/threads/rpc.ts";
import { turn } from "../../../helpers/turns.ts";

/** Both ends of a channel, and how many messages went over it. */
function channel(): { near: Port; far: Port; close: () => void; count: () => number } {
  const { port1, port2 } = new MessageChannel();
  let count = 0;
  const counting = (port: MessagePort): Port => ({
    postMessage: (message) => {
      count++;
      port.postMessage(message);
    },
    addEventListener: (type, listener) => port.addEventListener(type, listener as EventListener),
  });
  for (const port of [port1, port2]) port.start();
  const close = () => [port1, port2].forEach((port) => port.close());
  return { near: counting(port1), far: counting(port2), close, count: () => count };
}

Deno.test("what is said at once goes as one message, and each call has its own result, or fault", async () => {
  const { near, far, close, count } = channel();
  const told: string[] = [];
  let posted = 0;
  connectPort(far, {
    double: (n: number) => 2 * n,
    fail: () => Promise.reject(new Error("a fault")),
    tell: (what: string) => void told.push(what),
  });
  const remote = connectPort<{
    double: (n: number) => number;
    fail: () => void;
    tell: (what: string) => void;
  }>(near, {}, () => posted = count());
  void remote.tell("one");
  void remote.tell("two");
  const results = [remote.double(4), remote.double(5), remote.fail()];
  assert.deepEqual(await Promise.all(results.slice(0, 2)), [8, 10]);
  await assert.rejects(results[2]!, /^Error: a fault$/);
  assert.deepEqual(told, ["one", "two"]);
  assert(count() <= 3, `${count()} messages`); // a fault is known a little later than a result
  await turn();
  await remote.tell("three");
  assert.deepEqual(told, ["one", "two", "three"]);
  assert.equal(posted, 3, "who listens hears of each message when it has been posted, and of the other end's not");
  close();
});
