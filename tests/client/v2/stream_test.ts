import assert from "node:assert/strict";
import { Connection } from "../../../lib/client/connection.ts";
import { AckedServer } from "../../helpers/acked_server.ts";
import { readExactly } from "../../helpers/backend.ts";
import { assertSameBytes } from "../../helpers/bytes.ts";
import { pattern } from "../../helpers/random.ts";
import { tcp } from "../../helpers/raw_client.ts";

for (const dialect of ["goscon", "plain"] as const) {
  Deno.test(`a session of version 2 carries bytes both ways over a link that is cut, dialect ${dialect}`, async () => {
    await using server = new AckedServer({ dialect, echo: true });
    const { promise: closed, resolve } = Promise.withResolvers<unknown>();
    const resumed: number[] = [];
    const connection = await Connection.open({
      dialect,
      dial: () => tcp(server.address),
      random: () => 0,
      onResumed: ({ attempts }) => resumed.push(attempts),
      onClosed: resolve,
    });
    assert.equal(connection.version, 2);
    for (let round = 0; round < 3; round++) {
      await connection.write(pattern(1000 * round, 1000));
      if (round === 2) connection.cut();
      assertSameBytes(await readExactly(connection, 1000), pattern(1000 * round, 1000));
      if (round < 2) connection.cut();
    }
    assert.deepEqual(connection.bytes, { received: 3000, sent: 3000 });
    await connection.closeWrite();
    assert.equal(await connection.read(new Uint8Array(1)), null);
    assert.equal(await closed, undefined);
    assert.equal(await connection.read(new Uint8Array(1)), null);
    assert.deepEqual(resumed, [1, 1]);
  });
}
