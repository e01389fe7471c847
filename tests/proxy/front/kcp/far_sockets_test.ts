import assert from "node:assert/strict";
import type { RemainsOfKcp } from "../../../../lib/link/kcp/conversation.ts";
import { FarSockets } from "../../../../lib/proxy/front/kcp/far_sockets.ts";
import type { KcpPlace } from "../../../../lib/proxy/seams.ts";
import { KcpListeningStage, nextOf } from "../../../helpers/kcp_listening_stage.ts";
import { textOf } from "../../../helpers/kcp_stage.ts";
import { until } from "../../../helpers/turns.ts";

/** A conversation that has left its listening. */
async function givenAway(): Promise<RemainsOfKcp> {
  await using stage = new KcpListeningStage();
  stage.input("client", { command: "push", data: "a" });
  const given = await stage.links[0]!.carriedBy.giveAway();
  return given!.remains;
}

/** Far sockets whose only one is the stage's. `redirect`: what the other threads say. */
function farSockets(stage: KcpListeningStage, redirect: () => Promise<boolean>): FarSockets {
  return new FarSockets({
    engine: { adoptDatagrams: () => stage.socket } as never,
    hostname: "10.0.0.1",
    threads: { redirect, release() {}, give() {} } as never,
    listen: () => stage.listening,
  });
}

Deno.test("the socket of a conversation that cannot go on is closed, and taken once", async () => {
  const remains = await givenAway();
  await using stage = new KcpListeningStage();
  const far = farSockets(stage, () => Promise.resolve(true));
  const { conversation } = remains;
  const broken = { ...remains, conversation: { ...conversation, fec: { data: 3, parity: 1, next: 1 } } };
  let taken = 0;
  assert.throws(() => far.adopt(broken, () => ++taken), /in the middle of a group/);
  await until(() => stage.isSocketClosed, () => "the socket is open");
  assert.deepEqual([taken, [...far.listenings]], [1, []]);
});

Deno.test("the thread that reads the socket is told of a conversation that is over, and of one that has left for another process", async () => {
  const remains = await givenAway();
  const told: string[] = [];
  await using stage = new KcpListeningStage();
  const far = new FarSockets({
    engine: { adoptDatagrams: () => stage.socket } as never,
    hostname: "10.0.0.1",
    threads: {
      redirect: () => Promise.resolve(true),
      release: ({ peer }: KcpPlace) => told.push(`${textOf(peer)} is over`),
      leave: ({ peer, conv }: KcpPlace & { conv: number }) => told.push(`${textOf(peer)} has left, ${conv}`),
    } as never,
    listen: (_, { onGone }) => {
      stage.onGone = onGone;
      return stage.listening;
    },
  });
  const { conv } = remains.conversation;
  const left = (await far.adopt(remains, () => 1).carriedBy.giveAway())!.remains;
  far.adopt(left, () => 1).close();
  assert.deepEqual(told, [`client has left, ${conv}`, "client is over"]);
});

Deno.test("a conversation is lost when a thread that is asked for its socket fails", async () => {
  const remains = await givenAway();
  await using stage = new KcpListeningStage();
  const far = farSockets(stage, () => Promise.reject(new Error("it has failed")));
  const link = far.adopt(remains, () => 1);
  assert.equal(await nextOf(link), "a");
  await assert.rejects(nextOf(link), /no thread reads the socket/);
  link.close();
});
