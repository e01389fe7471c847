import assert from "node:assert/strict";
import type { Link } from "../../../lib/link/link.ts";
import { openTo } from "../../helpers/version2_client.ts";
import { AckedServer } from "../../helpers/acked_server.ts";
import { stillTime } from "../../helpers/clock.ts";
import { pattern } from "../../helpers/random.ts";
import { tcp } from "../../helpers/raw_client.ts";
import { turn, until } from "../../helpers/turns.ts";

/** A link that can die without a word: nothing comes any more, and what is written goes nowhere. */
class MortalLink implements Link {
  isDead = false;
  /** How many bytes came over it. */
  came = 0;
  readonly #link: Link;

  constructor(link: Link) {
    this.#link = link;
  }

  async read(buffer: Uint8Array): Promise<number | null> {
    const n = await this.#link.read(buffer);
    if (this.isDead && n !== null) return await this.read(buffer);
    this.came += n ?? 0;
    return n;
  }

  write(bytes: Uint8Array): Promise<number> {
    return this.isDead ? Promise.resolve(bytes.length) : this.#link.write(bytes);
  }

  closeWrite(): Promise<void> {
    return this.#link.closeWrite();
  }

  close(): void {
    this.#link.close();
  }
}

/** Lets seconds pass, one after the other, slowly enough for an answer in each; gives after which something is so, or all. */
async function passSeconds(clock: ReturnType<typeof stillTime>, most: number, isSo: () => boolean): Promise<number> {
  for (let second = 1; second <= most; second++) {
    clock.pass(1000);
    for (let i = 0; i < 60; i++) await turn();
    if (isSo()) return second;
  }
  return Infinity;
}

/** A client, and its links. */
async function mortal(server: AckedServer, options: Parameters<typeof openTo>[1] = {}) {
  const links: MortalLink[] = [];
  const dial = async () => links[links.push(new MortalLink(await tcp(server.address))) - 1]!;
  return { client: await openTo(server, { dial, ...options }), links };
}

Deno.test("a link that is dead is noticed after the ping interval and timeout, and replaced", async () => {
  const cases: [ping: number, options: object, seconds: [least: number, most: number]][] = [
    [0, {}, [25, 27]],
    [3000, {}, [13, 15]],
    [30_000, { pingInterval: 4000, pingTimeout: 3000 }, [7, 9]],
    [3000, { pingInterval: 0 }, [13, 15]],
    [0, { pingInterval: 0 }, [Infinity, Infinity]],
  ];
  for (const [ping, options, [least, most]] of cases) {
    using clock = stillTime();
    await using server = new AckedServer({ ping });
    const { client, links } = await mortal(server, options);
    links[0]!.isDead = true;
    const seconds = await passSeconds(clock, 100, () => client.events.length > 0);
    assert(seconds >= least && seconds <= most, `noticed after ${seconds} s, where ${least} to ${most} are right`);
    if (seconds === Infinity) client.connection.cut();
    else assert.match(client.events[0]!, /^lost: .*ping_timeout/);
    clock.pass(25);
    await until(() => client.events.length === 2, () => "it was not replaced");
    await client[Symbol.asyncDispose]();
  }
});

Deno.test("a link that is quiet but well is never replaced, though nobody reads", async () => {
  using clock = stillTime();
  await using server = new AckedServer();
  const { client, links } = await mortal(server, { window: 4096 });
  const end = await server.end();
  end.write(pattern(0, 4096));
  await until(() => client.connection.bytes.received === 4096, () => "it does not come");
  const before = links[0]!.came;
  assert.equal(await passSeconds(clock, 300, () => client.events.length > 0), Infinity);
  // A PONG every 15 seconds or so, and no more.
  const pongs = (links[0]!.came - before) / 5;
  assert(pongs >= 15 && pongs <= 21, `${pongs} PONGs`);
  await client[Symbol.asyncDispose]();
});

Deno.test("what was sent and is not acknowledged is asked for after 5 s", async () => {
  using clock = stillTime();
  await using server = new AckedServer();
  const { client, links } = await mortal(server);
  links[0]!.isDead = true;
  await client.connection.write(pattern(0, 10));
  const seconds = await passSeconds(clock, 100, () => client.events.length > 0);
  assert(seconds >= 15 && seconds <= 17, `noticed after ${seconds} s`);
  await client[Symbol.asyncDispose]();
});

Deno.test("what was read is acknowledged within about a second, though nothing else is to be said", async () => {
  using clock = stillTime();
  await using server = new AckedServer();
  const { client } = await mortal(server);
  const end = await server.end();
  end.write(pattern(0, 10));
  await client.connection.read(new Uint8Array(10));
  for (let i = 0; i < 50; i++) await turn();
  assert.equal(end.stream.session.acked, 0);
  assert(await passSeconds(clock, 3, () => end.stream.session.acked === 10) <= 2);
  await client[Symbol.asyncDispose]();
});
