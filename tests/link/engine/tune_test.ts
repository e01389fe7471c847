import assert from "node:assert/strict";
import type { KeepAlive } from "../../../lib/link/engine/engine.ts";
import type { SocketFlow } from "../../../lib/link/engine/socket_flow.ts";
import type { FlowingLink } from "../../../lib/link/flow.ts";
import { writeAll } from "../../../lib/link/link.ts";
import { readExactly } from "../../helpers/backend.ts";
import { assertSameBytes } from "../../helpers/bytes.ts";
import { engineOf, NATIVE } from "../../helpers/engine.ts";
import { Stage } from "../../helpers/engine_pair.ts";
import { pattern } from "../../helpers/random.ts";
import { RawSocket } from "../../helpers/raw_socket.ts";

const OPTIONS = { backlog: 128, isShared: false, tcp: {} };
const [SOL_SOCKET, IPPROTO_TCP] = [1, 6];
/** SO_KEEPALIVE, and of TCP: NODELAY, KEEPIDLE, KEEPINTVL, KEEPCNT. */
const [KEEPALIVE, NODELAY, IDLE, INTERVAL, COUNT] = [9, 1, 4, 5, 6];
const onFailure = ({ reason }: { reason: string }) => assert.fail(reason);

/** What holds for a connection: its descriptor is taken for that. */
function optionsOf(link: unknown): { keepAlive: KeepAlive | undefined; noDelay: number } {
  using socket = new RawSocket(((link as FlowingLink).flow as SocketFlow).detach()!);
  const noDelay = socket.option(IPPROTO_TCP, NODELAY);
  if (socket.option(SOL_SOCKET, KEEPALIVE) === 0) return { noDelay, keepAlive: undefined };
  const [idle, interval] = [IDLE, INTERVAL].map((option) => socket.option(IPPROTO_TCP, option) * 1000);
  return { noDelay, keepAlive: { idle: idle!, interval: interval!, probes: socket.option(IPPROTO_TCP, COUNT) } };
}

/** Of the system. */
function systemKeepAlive(): KeepAlive {
  const of = (name: string) => Number(Deno.readTextFileSync(`/proc/sys/net/ipv4/tcp_keepalive_${name}`));
  return { idle: 1000 * of("time"), interval: 1000 * of("intvl"), probes: of("probes") };
}

for (const name of NATIVE) {
  Deno.test(`${name} tunes what it accepts and what it opens`, async () => {
    const asSystem = systemKeepAlive();
    for (
      const [keepAlive, expected] of [
        [undefined, undefined],
        [{ idle: 0, interval: 1000, probes: 2 }, asSystem],
        [{ idle: 60_000, interval: 20_000, probes: 3 }, { idle: 60_000, interval: 20_000, probes: 3 }],
        [{ idle: 1, interval: 1400, probes: 9 }, { idle: 1000, interval: 1000, probes: 9 }],
        [{ idle: 1e9, interval: 1e9, probes: 1 }, { idle: 32_767_000, interval: 32_767_000, probes: 1 }],
      ] as const
    ) {
      await using stage = Stage.open(name, "IPv4", { keepAlive });
      const accepting = stage.accept();
      const near = await stage.engine.connect(stage.address, { keepAlive });
      const far = await accepting;
      await writeAll(near, pattern(0, 10));
      assertSameBytes(await readExactly(far, 10), pattern(0, 10));
      assert.deepEqual(optionsOf(near), { noDelay: 1, keepAlive: expected });
      assert.deepEqual(optionsOf(far), { noDelay: 1, keepAlive: expected });
    }
  });

  Deno.test(`${name} tunes what it accepts as it was told last`, async () => {
    const engine = engineOf(name);
    const keepAlive = { idle: 5000, interval: 2000, probes: 2 };
    const listening = engine.listen({ hostname: "127.0.0.1", port: 0 }, { ...OPTIONS, tcp: { keepAlive } });
    const system = { idle: 0, interval: 0, probes: 3 };
    for (const now of [keepAlive, undefined, system, { idle: 7000, interval: 3000, probes: 4 }, system, undefined]) {
      listening.tcp = { keepAlive: now };
      const { promise, resolve } = Promise.withResolvers<unknown>();
      listening.accept({ onConnection: resolve, onFailure });
      const near = await engine.connect({ kind: "tcp", ...listening.address }, {});
      assert.deepEqual(optionsOf(await promise).keepAlive, now === system ? systemKeepAlive() : now);
      near.close();
    }
    await listening.close();
    await engine.close();
  });
}
