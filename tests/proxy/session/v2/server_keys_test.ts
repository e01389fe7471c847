import assert from "node:assert/strict";
import { ServerKeys } from "../../../../lib/proxy/session/v2/server_keys.ts";

Deno.test("a key that is no point of P-256 is refused with 400", async () => {
  const keys = new ServerKeys(queueMicrotask);
  for (const coordinate of [0, 0x11, 0xff]) {
    const key = new Uint8Array(65).fill(coordinate);
    key[0] = 4;
    await assert.rejects(async () => await keys.for(key).derive(), { name: "ScpError", code: 400 });
  }
});
