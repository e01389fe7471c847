import assert from "node:assert/strict";
import { memoryOf, Told } from "../../../../lib/proxy/session/move/memory.ts";
import { EndedSessions } from "../../../../lib/proxy/session/ended_sessions.ts";
import { GoneSessions } from "../../../../lib/proxy/session/v2/gone_sessions.ts";
import { ResumeKey } from "../../../../lib/proxy/session/v2/resume_key.ts";

Deno.test("what is remembered goes in pieces, each once", () => {
  const [now, most] = [1000, 20_000];
  const key = new ResumeKey(new Uint8Array(32));
  const memory = { ended: new EndedSessions(most), gone: new GoneSessions() };
  for (let id = 1; id <= 600; id++) memory.gone.add({ id, key, end: 1, index: 0, until: now + 5 }, most);
  const ended = Array.from({ length: 600 }, (_, i) => ({ id: 601 + i, answer: undefined }));
  memory.ended.restore(ended, now);
  const told = new Told();
  const pieces = [...memoryOf(memory, told, now)].map(({ ended, gone }) => [...ended, ...gone].map(({ id }) => id));
  assert.deepEqual(pieces.flat().toSorted((a, b) => a - b), Array.from({ length: 1200 }, (_, i) => i + 1));
  assert(pieces.every((ids) => ids.length <= 250), `pieces of ${pieces.map(({ length }) => length)}`);
  assert.deepEqual([...memoryOf(memory, told, now)], []);
});
