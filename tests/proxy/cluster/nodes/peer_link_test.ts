import assert from "node:assert/strict";
import type { ClusterTls } from "../../../../lib/config/types.ts";
import type { SocketLink } from "../../../../lib/link/engine/engine.ts";
import { flowIn } from "../../../../lib/link/flow.ts";
import { type Link, writeAll } from "../../../../lib/link/link.ts";
import { secure } from "../../../../lib/proxy/cluster/nodes/peer_tls.ts";
import { Authority } from "../../../helpers/authority.ts";
import { readExactly, readToEnd } from "../../../helpers/backend.ts";
import { assertSameBytes } from "../../../helpers/bytes.ts";
import { WORKING } from "../../../helpers/engine.ts";
import { Stage } from "../../../helpers/engine_pair.ts";
import { testBackPressure, testLinkContract } from "../../../helpers/link_contract.ts";
import { HAS_OPENSSL } from "../../../helpers/programs.ts";
import { forwarding } from "../../../helpers/peer_stage.ts";
import { pattern } from "../../../helpers/random.ts";
import { stalled } from "../../../helpers/turns.ts";

const NAME = "goscon-cluster";
let tls: ClusterTls | undefined;

async function certificate(): Promise<ClusterTls> {
  if (tls) return tls;
  using authority = await Authority.make();
  return tls = await authority.issue(NAME);
}

interface TlsPair extends AsyncDisposable {
  near: Link;
  far: Link;
  sockets: [near: SocketLink, far: SocketLink];
  /** Bytes that each has read of its socket. */
  taken: [near: number, far: number];
}

/** Near: the end that dialled. */
async function tlsPair(stage: Stage): Promise<TlsPair> {
  const tls = await certificate();
  const sockets = await stage.pair();
  const { signal } = new AbortController();
  const taken: TlsPair["taken"] = [0, 0];
  const counting = (end: 0 | 1): SocketLink =>
    Object.assign(Object.create(sockets[end]), forwarding(sockets[end]), {
      async read(buffer: Uint8Array) {
        const n = await sockets[end].read(buffer);
        taken[end] += n ?? 0;
        return n;
      },
    });
  const [near, far] = await Promise.all([
    secure(counting(0), tls, "dialling", signal),
    secure(counting(1), tls, "dialled", signal),
  ]);
  // What a handshake goes on with: after it nothing of TLS's own is left unread.
  await far.write(new Uint8Array(1));
  await near.read(new Uint8Array(1));
  return {
    near,
    far,
    sockets,
    taken,
    [Symbol.asyncDispose]: async () => {
      near.close();
      far.close();
      await stage[Symbol.asyncDispose]();
    },
  };
}

for (const name of HAS_OPENSSL ? WORKING : []) {
  for (const flipped of [false, true]) {
    const what = `a link of TLS with a peer, over ${name}, by the end that ${flipped ? "was dialled" : "dialled"},`;
    const open = async () => {
      const pair = await tlsPair(Stage.open(name));
      return flipped ? { ...pair, near: pair.far, far: pair.near } : pair;
    };
    const test = (rest: string, run: (pair: TlsPair) => Promise<void>) =>
      Deno.test(`${what} ${rest}`, async () => {
        await using pair = await open();
        await run(pair);
      });

    testLinkContract(what, 200_000, open);
    testBackPressure(what, open);

    test("leaves the other direction as it is when one ends", async ({ near, far }) => {
      await near.closeWrite();
      assert.equal((await readToEnd(far)).length, 0);
      const got = readToEnd(near);
      for (let at = 0; at < 500_000; at += 5000) await writeAll(far, pattern(at, 5000));
      await far.closeWrite();
      assertSameBytes(await got, pattern(0, 500_000));
    });

    test("gives all that came to who reads late, though both directions have ended", async ({ near, far }) => {
      for (const size of [1, 1000, 16_000, 40_000, 100_000]) {
        await using pair = await open();
        await near.write(new Uint8Array(1)); // another connection is none of its business
        await writeAll(pair.near, pattern(0, 10));
        await pair.near.closeWrite();
        assertSameBytes(await readToEnd(pair.far), pattern(0, 10));
        await writeAll(pair.far, pattern(0, size));
        await pair.far.closeWrite();
        let turns = 0;
        await stalled(() => Math.min(turns++, 50));
        assertSameBytes(await readToEnd(pair.near), pattern(0, size), `of ${size}`);
      }
      assert.equal((await readExactly(far, 1)).length, 1);
    });

    test("gives all that came to who reads after it has ended its own direction", async ({ near, far }) => {
      await writeAll(far, pattern(0, 10_000));
      await far.closeWrite();
      let turns = 0;
      await stalled(() => Math.min(turns++, 50));
      assertSameBytes(await readExactly(near, 10), pattern(0, 10));
      await stalled(() => Math.min(turns++, 100));
      await near.closeWrite();
      await stalled(() => Math.min(turns++, 150));
      assertSameBytes(await readToEnd(near), pattern(10, 9990));
      assert.equal((await readToEnd(far)).length, 0);
    });

    test("holds little while nobody reads it, though the other direction goes on", async ({ near, far, taken }) => {
      const [at, total] = [flipped ? 1 : 0, 400 * 65536];
      let written = 0;
      const stalling = (async () => {
        for (; written < total; written += 65536) await writeAll(far, pattern(written, 65536));
      })();
      await stalled(() => written);
      const before = taken[at]!;
      assert(written < total && before < 300_000, `${written} were written, and ${before} taken`);
      const sending = (async () => {
        for (let sent = 0; sent < 5_000_000; sent += 50_000) await writeAll(near, pattern(sent, 50_000, 1));
        await near.closeWrite();
      })();
      assertSameBytes(await readToEnd(far), pattern(0, 5_000_000, 1));
      await sending;
      assert(taken[at]! - before < 100_000, `${taken[at]! - before} more were taken`);
      assertSameBytes(await readExactly(near, total), pattern(0, total));
      await stalling;
    });

    test("breaks for the other end when it is reset", async ({ near, far }) => {
      await writeAll(near, pattern(0, 10));
      assertSameBytes(await readExactly(far, 10), pattern(0, 10));
      const reading = far.read(new Uint8Array(1));
      near.reset!();
      await assert.rejects(reading, /reset/i);
      await assert.rejects(async () => {
        for (;;) await writeAll(far, new Uint8Array(1000));
      });
    });

    test("ends for the other end when it is closed, after all that was written", async ({ near, far }) => {
      await writeAll(near, pattern(0, 10_000));
      near.close();
      assertSameBytes(await readToEnd(far), pattern(0, 10_000));
    });

    test("is closed at once, also while the other end takes nothing", async ({ near, far, sockets }) => {
      const writing = assert.rejects(async () => {
        for (;;) await writeAll(near, new Uint8Array(100_000));
      });
      let turns = 0;
      await stalled(() => Math.min(turns++, 200));
      near.close();
      await writing;
      await assert.rejects(near.read(new Uint8Array(1)));
      const [socket] = flipped ? [sockets[1]] : sockets;
      await assert.rejects(async () => {
        if (await socket!.read(new Uint8Array(1)) === null) throw new Error("closed");
      });
      far.close();
    });

    test("tells of the flow that carries it", ({ near, sockets }) => {
      assert.equal(near.carriedBy, flowIn(sockets[flipped ? 1 : 0]));
      assert.equal(near.carriedBy === undefined, name === "deno");
      return Promise.resolve();
    });
  }
}
