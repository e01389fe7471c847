import assert from "node:assert/strict";
import { Heartbeat } from "../../../../lib/proxy/cluster/threads/heartbeat.ts";
import { turn } from "../../../helpers/turns.ts";

/** A thread that answers, unless it is hung: then what it is told waits. */
class Thread {
  isHung = false;
  readonly told: string[] = [];

  async ping(): Promise<void> {
    if (this.isHung) await new Promise<never>(() => {});
  }

  async hear(what: string): Promise<void> {
    this.told.push(what);
    await this.ping();
  }
}

Deno.test("a thread that is hung is asked nothing, and told all that it must know, for which nobody waits", async () => {
  let now = 0;
  const [well, hung] = [new Thread(), new Thread()];
  const heartbeat = new Heartbeat([well, hung], () => now);
  hung.isHung = true;
  now = 1;
  heartbeat.beat();
  now = 3000;
  assert.deepEqual(heartbeat.hung, []);
  now = 3001;
  await turn();
  assert.deepEqual(heartbeat.hung, [1]);
  assert.deepEqual(await heartbeat.ask((thread) => thread.hear("asked").then(() => "answer")), ["answer", undefined]);
  await heartbeat.tell((thread) => thread.hear("told"));
  assert.deepEqual([well.told, hung.told], [["asked", "told"], ["told"]]);
});
