import assert from "node:assert/strict";
import { type Engine, isMovable, type MovableLink } from "../../../lib/link/engine/engine.ts";
import { System } from "../../../lib/link/engine/system.ts";
import { writeAll } from "../../../lib/link/link.ts";
import type { TcpLink } from "../../../lib/link/tcp.ts";
import { accepted, descriptorsOf, untilDescriptors } from "../../helpers/accepted.ts";
import { readExactly } from "../../helpers/backend.ts";
import { assertSameBytes } from "../../helpers/bytes.ts";
import { engineOf, NATIVE } from "../../helpers/engine.ts";
import { pattern } from "../../helpers/random.ts";

interface Movable {
  client: TcpLink;
  link: MovableLink;
  /** How often `onClose` was called. */
  closes: () => number;
}

async function open(engine: Engine): Promise<Movable> {
  const [client, link] = await accepted(engine);
  assert(isMovable(link));
  let closes = 0;
  link.onClose = () => closes++;
  return { client, link, closes: () => closes };
}

/** With two engines, as two threads have them. */
function test(what: string, run: (one: Engine, other: Engine) => Promise<void>): void {
  for (const name of NATIVE) {
    Deno.test(`${name}: ${what}`, async () => {
      const [one, other] = [engineOf(name), engineOf(name)];
      const before = descriptorsOf();
      await run(one, other);
      await untilDescriptors(before);
      await Promise.all([one.close(), other.close()]);
    });
  }
}

test(
  "a descriptor goes from a link to one of another engine, which goes on over it where the first has stopped",
  async (one, other) => {
    const [giver, taker] = [await open(one), await open(other)];
    await writeAll(giver.client, pattern(0, 1000));
    assertSameBytes(await readExactly(giver.link, 100), pattern(0, 100));
    const before = descriptorsOf();
    taker.link.attach(giver.link.detach()!);
    await untilDescriptors(before - 1, "as the connection that the taker had is closed");
    assert.equal(await taker.client.read(new Uint8Array(1)), null);
    assertSameBytes(await readExactly(taker.link, 900), pattern(100, 900));
    await Promise.all([writeAll(taker.link, pattern(1, 2_000_000)), readExactly(giver.client, 2_000_000)])
      .then(([, bytes]) => assertSameBytes(bytes, pattern(1, 2_000_000)));
    giver.link.close();
    assert.deepEqual([giver.closes(), taker.closes()], [0, 0]);
    await writeAll(giver.client, pattern(2, 100));
    assertSameBytes(await readExactly(taker.link, 100), pattern(2, 100));
    giver.client.close();
    assert.equal(await taker.link.read(new Uint8Array(1)), null);
    taker.link.close();
    taker.client.close();
    assert.deepEqual([giver.closes(), taker.closes()], [0, 1]);
  },
);

test("a link has its descriptor back, and what came meanwhile, also an end", async (one) => {
  const { client, link, closes } = await open(one);
  const fd = link.detach()!;
  assert.equal(link.detach(), undefined, "it has none to give");
  await assert.rejects(link.write(new Uint8Array(1)), /closed/);
  await writeAll(client, pattern(0, 100));
  await client.closeWrite();
  link.attach(fd);
  assertSameBytes(await readExactly(link, 200), pattern(0, 100));
  await writeAll(link, pattern(1, 100));
  assertSameBytes(await readExactly(client, 100), pattern(1, 100));
  assert.equal(closes(), 0);
  link.close();
  link.close();
  assert.equal(closes(), 1);
  assert.equal(link.detach(), undefined);
  client.close();
});

test("a link that was closed while it had no descriptor closes it as soon as it has it back", async (one) => {
  const { client, link, closes } = await open(one);
  const fd = link.detach()!;
  const before = descriptorsOf();
  link.close();
  assert.deepEqual([closes(), descriptorsOf()], [0, before]);
  link.attach(fd);
  assert.equal(closes(), 1);
  await untilDescriptors(before - 1);
  assert.equal(await link.read(new Uint8Array(1)), null);
  assert.equal(await client.read(new Uint8Array(1)), null);
  client.close();
});

test("a link that goes on over what is no socket is closed, and that too", async (one) => {
  for (const fd of [-1, System.open().createBell()]) {
    const { client, link, closes } = await open(one);
    const before = descriptorsOf() - 1;
    assert.throws(() => link.attach(fd), fd < 0 ? /Bad file descriptor/ : /non-socket/);
    assert.equal(closes(), 1);
    await untilDescriptors(fd < 0 ? before : before - 1);
    link.close();
    assert.equal(closes(), 1);
    assert.equal(await client.read(new Uint8Array(1)), null);
    client.close();
  }
});
