import assert from "node:assert/strict";
import { connect } from "../../lib/client/mod.ts";
import { clientStage } from "../helpers/client_stage.ts";
import { Certificates } from "../helpers/certificates.ts";
import { exchangeNumbers } from "../helpers/numbers.js";
import { HAS_OPENSSL } from "../helpers/programs.ts";

const TOTAL = 100_000;

for (const [scheme, dialect] of [["tcp", "goscon"], ["ws", "plain"], ["tls", "goscon"]] as const) {
  Deno.test(`the client loses nothing in Deno over ${scheme}, however often its network is cut`, {
    ignore: scheme === "tls" && !HAS_OPENSSL,
    // A WebSocket that this end has closed is gone only after the other end, or the network, has had its say.
    sanitizeResources: scheme !== "ws",
  }, async () => {
    using certificates = new Certificates();
    const pair = scheme === "tls" ? await certificates.make("one") : undefined;
    await using stage = clientStage(TOTAL, 100_000, pair?.files);
    const connection = await connect(stage[scheme], { dialect, cacheSize: 16 * 2 ** 20, ca: pair?.cert });
    try {
      const { sent, received, resumes } = await exchangeNumbers(connection, (sent: number) => sent > TOTAL);
      assert.deepEqual(await stage.backend.outcome, { sent: received, received: sent }, `GOSCON_SEED=${stage.seed}`);
      assert(resumes >= 5, `it resumed ${resumes} times only`);
      // Each link carries 50,000 bytes and more, of which the most is to count: 800,000 are to go, both ways together.
      assert(resumes <= 100, `it resumed ${resumes} times`);
    } finally {
      connection.close();
    }
  });
}
