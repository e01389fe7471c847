import assert from "node:assert/strict";
import { AllSessions } from "../../../lib/proxy/cluster/all_sessions.ts";
import { NodeAway, pageOf, type SessionQuery } from "../../../lib/proxy/data_plane.ts";
import type { SessionInfo } from "../../../lib/proxy/session/session_record.ts";
import { ClusterMesh, type Member } from "../../helpers/cluster_mesh.ts";

/** 16 threads, 64 slots, 4 epochs. */
const LAYOUT = { threadBits: 4, slotBits: 6, epochBits: 2 };

/** Of that slot, in an epoch of which ids have 1. */
const idOf = (slot: number, number: number, epoch = 1) => number * 4096 + (epoch * 64 + slot) * 16;

const SINCE = [[1, 10], [1, 40], [2, 20], [2, 50], [3, 30], [3, 60]] as const;

/** Sessions of a slot, that began at these times; what is asked of them is told in `asked`. */
class OwnSessions {
  readonly infos: SessionInfo[];
  readonly asked: string[] = [];
  readonly queries: SessionQuery[] = [];

  constructor(readonly slot: number) {
    this.infos = SINCE.filter(([of]) => of === slot).map(([, since]) => ({
      ...{ id: idOf(slot, since), node: slot, since, lastSeen: since, state: "attached", client: "192.0.2.1:7" },
      ...{ upstream: "none", target: "", version: 2, dialect: "goscon", received: 0, sent: 0, cache: 0, resumes: 0 },
    }));
  }

  sessions = (query: SessionQuery) => {
    this.queries.push(query);
    return Promise.resolve(pageOf(this.infos, query));
  };
  session = (id: number) => Promise.resolve(this.infos.find((info) => info.id === id));
  endSession = (id: number) => Promise.resolve(this.#did(`end ${id}`, id));
  moveSession = (id: number, url: string) =>
    Promise.resolve(this.#did(`move ${id} ${url}`, id) ? "moved" as const : "not there" as const);

  #did(what: string, id: number): boolean {
    this.asked.push(what);
    return this.infos.some((info) => info.id === id);
  }
}

/** Three nodes, each of a slot with two sessions, and what the first tells of all. */
class Stage implements AsyncDisposable {
  readonly mesh = new ClusterMesh();
  readonly own = [1, 2, 3].map((slot) => new OwnSessions(slot));
  readonly members: Member[] = [];
  all!: AllSessions;

  static async start(): Promise<Stage> {
    const stage = new Stage();
    for (const own of stage.own) {
      const { sessions, session, endSession, moveSession, slot } = own;
      const handlers = {
        ...{ sessions, session, endSession, moveSession },
        moveCarried: () => Promise.resolve(0),
        snapshot: () => Promise.reject(new Error("no snapshot")),
      };
      const options = { host: slot, found: [1, 2, 3], epoch: 1, more: { handlers } };
      stage.members.push(await stage.mesh.start(`n${slot}`, options));
    }
    await stage.mesh.pass(6000);
    stage.all = new AllSessions({ own: stage.own[0]!, node: stage.members[0]!.node, layout: LAYOUT });
    return stage;
  }

  /** Since when those that are listed are, and what is missing; the time goes on meanwhile. */
  async list(query: SessionQuery): Promise<{ total: number; since: number[]; missing: unknown }> {
    const [{ total, sessions, missing }] = await Promise.all([this.all.sessions(query), this.mesh.pass(2500)]);
    return { total, since: sessions.map(({ since }) => since), missing };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.mesh[Symbol.asyncDispose]();
  }
}

Deno.test("sessions of all nodes are listed in the order in which they began, and a limit cuts that list", async () => {
  await using stage = await Stage.start();
  assert.deepEqual(await stage.list({ limit: 9 }), { total: 6, since: [10, 20, 30, 40, 50, 60], missing: [] });
  assert.deepEqual(await stage.list({ limit: 3 }), { total: 6, since: [10, 20, 30], missing: [] });
  assert.deepEqual(await stage.list({ limit: 0 }), { total: 6, since: [], missing: [] });
});

Deno.test("sessions of one node are asked of it alone", async () => {
  await using stage = await Stage.start();
  const queries = () => stage.own.map(({ queries }) => queries.splice(0).length);
  assert.deepEqual(await stage.list({ limit: 9, node: 2 }), { total: 2, since: [20, 50], missing: [] });
  assert.deepEqual(queries(), [0, 1, 0]);
  assert.deepEqual(await stage.list({ limit: 9, node: 1 }), { total: 2, since: [10, 40], missing: [] });
  assert.deepEqual(queries(), [1, 0, 0]);
  assert.deepEqual(await stage.list({ limit: 9, node: "this" }), { total: 2, since: [10, 40], missing: undefined });
  assert.deepEqual(queries(), [1, 0, 0]);
  assert.deepEqual(await stage.list({ limit: 9, node: 7 }), { total: 0, since: [], missing: [] });
  assert.deepEqual(queries(), [0, 0, 0]);
});

Deno.test("of a node that has sessions of what it was before, too, those of one slot are listed", async () => {
  await using stage = await Stage.start();
  const [, second] = stage.own;
  second!.infos.push({ ...second!.infos[0]!, id: idOf(7, 25), node: 7, since: 25 });
  assert.deepEqual((await stage.list({ limit: 9, node: 2 })).since, [20, 50]);
  assert.deepEqual((await stage.list({ limit: 9 })).since, [10, 20, 25, 30, 40, 50, 60]);
});

Deno.test("a node that does not answer is missing by its slot, and one that has ended is not", async () => {
  await using stage = await Stage.start();
  const [, second, third] = stage.members;
  second!.isMute = true;
  const { since, missing } = await stage.list({ limit: 9 });
  assert.deepEqual([since, missing], [[10, 30, 40, 60], [{ node: 2, reason: "no connection within 2000 ms" }]]);
  await stage.mesh.pass(5000);
  assert.deepEqual((await stage.list({ limit: 9 })).missing, [{ node: 2, reason: "it is away" }]);
  assert.deepEqual((await stage.list({ limit: 9, node: 3 })).missing, []);
  await stage.mesh.kill(third!);
  await stage.mesh.pass(500);
  const left = await stage.list({ limit: 9 });
  assert.deepEqual([left.since, left.missing], [[10, 40], [{ node: 2, reason: "it is away" }]]);
});

Deno.test("a node whose answer is no list of sessions is missing, and the others are listed", async () => {
  await using stage = await Stage.start();
  stage.own[1]!.sessions = () => Promise.resolve({ total: 2 }) as never;
  stage.members[1]!.node.answer = () => Promise.resolve({ total: 2 });
  const { total, since, missing } = await stage.list({ limit: 9 });
  assert.deepEqual([total, since], [4, [10, 30, 40, 60]]);
  assert.deepEqual(missing, [{ node: 2, reason: "what it answered is no list of sessions" }]);
});

Deno.test("a session is told of, moved and ended by its owner, whoever is asked", async () => {
  await using stage = await Stage.start();
  for (const [slot, since] of [[1, 40], [2, 50], [3, 60]] as const) {
    const id = idOf(slot, since);
    assert.equal((await stage.all.session(id))?.since, since);
    assert.equal(await stage.all.moveSession(id, "tls://a.example:1"), "moved");
    assert.equal(await stage.all.endSession(id), true);
    const asked = stage.own.map(({ asked }) => asked.splice(0));
    const expected = [1, 2, 3].map((of) => of === slot ? [`move ${id} tls://a.example:1`, `end ${id}`] : []);
    assert.deepEqual(asked, expected);
  }
});

Deno.test("there is no session of a former life, of an unknown slot, of a node that has ended, nor beyond all ids", async () => {
  await using stage = await Stage.start();
  await stage.mesh.kill(stage.members[2]!);
  await stage.mesh.pass(500);
  for (const id of [idOf(2, 50, 0), idOf(1, 40, 0), idOf(9, 7), idOf(3, 60), 2 ** 32 + idOf(2, 50), 0]) {
    assert.equal(await stage.all.session(id), undefined, String(id));
    assert.equal(await stage.all.endSession(id), false);
    assert.equal(await stage.all.moveSession(id, ""), "not there");
  }
  assert.deepEqual(stage.own.flatMap(({ asked }) => asked), []);
});

Deno.test("there is no session of a node that was never met, where nothing listens", async () => {
  await using mesh = new ClusterMesh();
  const a = await mesh.start("n1", { host: 1, found: [1, 2], epoch: 1 });
  await mesh.pass(1000);
  assert.deepEqual(a.lines, ["2 - - refused"]);
  const all = new AllSessions({ own: new OwnSessions(1), node: a.node, layout: LAYOUT });
  assert.equal(await all.session(idOf(2, 50)), undefined);
});

Deno.test("the owner of a session that does not answer is away, which is another thing", async () => {
  await using stage = await Stage.start();
  stage.members[1]!.isMute = true;
  const id = idOf(2, 50);
  const asking = [stage.all.session(id), stage.all.endSession(id), stage.all.moveSession(id, "")];
  const rejected = asking.map((promise) =>
    assert.rejects(
      promise,
      (error) => error instanceof NodeAway && /^node 2, whose session that is/.test(error.message),
    )
  );
  await stage.mesh.pass(7000);
  await Promise.all(rejected);
});
