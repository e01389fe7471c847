import assert from "node:assert/strict";
import { packed } from "../../../../lib/proxy/session/move/packed.ts";
import { ManualFlow } from "../../../helpers/manual_flow.ts";
import { bytes } from "../../../helpers/session_stage.ts";

/** A flow of which that is left. */
function flowWith(fd: number, came: string): ManualFlow {
  const remains = { came: bytes(came), isOver: false, fault: undefined, unsent: bytes(""), isEnding: false };
  return Object.assign(new ManualFlow(), { giveAway: () => Promise.resolve({ fd, remains }) });
}

Deno.test("what a session was told of its client and has not dealt with comes before what it was not told", async () => {
  const left = new ManualFlow();
  const client = { flow: flowWith(5, " second"), rest: bytes("first") };
  const { data, descriptors, done } = await packed("session", { snapshot: 1, client, backend: flowWith(6, "B"), left });
  assert.deepEqual([data.client?.came, data.backend?.came], [bytes("first second"), bytes("B")]);
  assert.deepEqual([data.kind, data.snapshot, descriptors, left.isClosed], ["session", 1, [5, 6], false]);
  done();
  assert.equal(left.isClosed, true);
});

Deno.test("connections that there are not have no descriptors", async () => {
  const none = { client: undefined, backend: undefined, left: undefined };
  const { data, descriptors, done } = await packed("session", { snapshot: 1, ...none });
  assert.deepEqual([data.client, data.backend, descriptors], [undefined, undefined, []]);
  done();
});
