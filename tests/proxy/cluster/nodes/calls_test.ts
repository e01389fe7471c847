import assert from "node:assert/strict";
import { Calls } from "../../../../lib/proxy/cluster/nodes/calls.ts";
import { stillTime } from "../../../helpers/clock.ts";
import { NEVER, ScriptedPeers } from "../../../helpers/scripted_peers.ts";
import { turn } from "../../../helpers/turns.ts";

const at = (host: number) => ({ hostname: `10.0.0.${host}`, port: 1 });
const X = { addr: at(1), instance: "x" };

class Stage {
  readonly time = stillTime();
  readonly peers = new ScriptedPeers();
  readonly calls = new Calls(this.peers.connect);

  constructor() {
    this.peers.put(at(1), "x", (method, args) => method === "never" ? NEVER : [method, args]);
  }

  async pass(ms: number): Promise<void> {
    await turn();
    this.time.pass(ms);
    await turn();
  }

  /** How often a connection was opened. */
  get dialled(): number {
    return this.peers.log.filter((line) => !line.includes(" ")).length;
  }

  [Symbol.dispose](): void {
    this.calls.close();
    this.time[Symbol.dispose]();
  }
}

Deno.test("calls: a connection is kept while it is used, and closed after a minute of rest", async () => {
  using stage = new Stage();
  for (let i = 0; i < 3; i++) {
    assert.deepEqual(await stage.calls.ask(X, "session", { id: i }, 1000), ["session", { id: i }]);
    await stage.pass(59_000);
  }
  assert.deepEqual([stage.dialled, stage.peers.open], [1, 1]);
  await stage.pass(1000);
  assert.equal(stage.peers.open, 0);
  await stage.calls.ask(X, "session", {}, 1000);
  assert.equal(stage.dialled, 2);
});

Deno.test("calls: a question that is not answered in time ends its connection, and the next one has another", async () => {
  using stage = new Stage();
  const late = assert.rejects(stage.calls.ask(X, "never", {}, 1000), /no answer within 1000 ms/);
  await stage.pass(1000);
  await late;
  assert.equal(stage.peers.open, 0);
  assert.deepEqual(await stage.calls.ask(X, "session", {}, 1000), ["session", {}]);
});

Deno.test("calls: another instance at the address is not asked", async () => {
  using stage = new Stage();
  await assert.rejects(stage.calls.ask({ addr: at(1), instance: "y" }, "session", {}, 1000), /another instance, x/);
  assert.deepEqual([stage.peers.open, stage.peers.log], [0, ["10.0.0.1:1"]]);
});

Deno.test("calls: a connection that is lost at rest is opened anew, and so is one that could not be had", async () => {
  using stage = new Stage();
  await stage.calls.ask(X, "session", {}, 1000);
  await stage.peers.cut(at(1));
  stage.peers.remove(at(1), "unreachable");
  await assert.rejects(stage.calls.ask(X, "session", {}, 1000), /unreachable/);
  stage.peers.put(at(1), "x", () => "there again");
  assert.equal(await stage.calls.ask(X, "session", {}, 1000), "there again");
});

Deno.test("calls: an attempt that does not end is given up in time", async () => {
  using stage = new Stage();
  stage.peers.remove(at(1), NEVER);
  const late = assert.rejects(stage.calls.ask(X, "session", {}, 1000), /no connection within 1000 ms/);
  await stage.pass(1000);
  await late;
});

Deno.test("calls: of all nodes those that do not answer within two seconds are named", async () => {
  using stage = new Stage();
  stage.peers.put(at(2), "slow", () => NEVER);
  const all = [X, { addr: at(2), instance: "slow" }, { addr: at(3), instance: "gone" }];
  const asking = stage.calls.askAll(all, "snapshot", {});
  await stage.pass(2000);
  const { answers, missing } = await asking;
  assert.deepEqual(answers, [{ from: X, value: ["snapshot", {}] }]);
  assert.deepEqual(missing.map(({ from: { instance } }) => instance).sort(), ["gone", "slow"]);
});

Deno.test("calls: closed, all connections are, also one that is being opened, and nothing more is asked", async () => {
  using stage = new Stage();
  await stage.calls.ask(X, "session", {}, 1000);
  stage.peers.put(at(2), "y", () => NEVER);
  void stage.calls.ask({ addr: at(2) }, "session", {}, 1000).catch(() => {});
  stage.calls.close();
  await turn();
  assert.equal(stage.peers.open, 0);
  await assert.rejects(stage.calls.ask(X, "session", {}, 1000), /ends/);
});

Deno.test("calls: a question that is lost leaves no timer behind", async () => {
  const peers = new ScriptedPeers();
  peers.put(at(1), "x", () => NEVER);
  const calls = new Calls(peers.connect);
  await assert.rejects(calls.ask(X, "never", {}, 1), /no answer/);
  calls.close(); // the sanitizer of this test sees what is left
});
