/** What has to have a process of its own: `deno run -A engine_child.ts SCENE ENGINE` prints as JSON what came of it. */
import type { EngineName } from "../../lib/config/engines.ts";
import { openEngine } from "../../lib/link/engine/open_engine.ts";
import { EINTR, System } from "../../lib/link/engine/system.ts";
import { RingCalls } from "../../lib/link/engine/uring/ring_calls.ts";
import type { Engine, Listening } from "../../lib/link/engine/engine.ts";
import { reasonOf, writeAll } from "../../lib/link/link.ts";
import { echo, readExactly } from "./backend.ts";
import { assertSameBytes } from "./bytes.ts";
import { engineOf } from "./engine.ts";
import { ownDescriptors } from "./own_descriptors.ts";
import { pattern } from "./random.ts";
import { defaultSignal, limitDescriptors, RawSocket } from "./raw_socket.ts";
import { turn } from "./turns.ts";

const SIGPIPE = 13;
const CLIENTS = 5;

function open(name: EngineName): { engine: Engine; listening: Listening } {
  const engine = engineOf(name);
  const listening = engine.listen({ hostname: "127.0.0.1", port: 0 }, { backlog: 16, isShared: false, tcp: {} });
  return { engine, listening };
}

const addressOf = ({ address }: Listening) => ({ kind: "tcp", ...address }) as const;

/** There is no descriptor left while it lasts. */
async function withoutDescriptors<T>(run: () => Promise<T>): Promise<T> {
  await stillDescriptors();
  const before = limitDescriptors(Math.max(...ownDescriptors().keys()) + 1);
  const fillers: Deno.FsFile[] = [];
  try {
    for (;;) fillers.push(Deno.openSync("/dev/null"));
  } catch {
    // Now there is none.
  }
  try {
    return await run();
  } finally {
    limitDescriptors(before);
    for (const filler of fillers) filler.close();
  }
}

/** The runtime has closed what it read the program by. */
async function stillDescriptors(): Promise<void> {
  let [known, turns] = [0, 0];
  while (turns < 100) {
    const { size } = ownDescriptors();
    turns = size === known ? turns + 1 : 0;
    known = size;
    await turn();
  }
}

const codeOf = (promise: Promise<unknown>) => promise.then(() => "none", (error) => String(error.code));

/** Clients wait while there is none to accept them with, and are served then. */
async function accept(name: EngineName): Promise<unknown> {
  const { engine, listening } = open(name);
  const clients = Array.from({ length: CLIENTS }, () => RawSocket.connect(addressOf(listening)));
  const failures: { reason: string; retry_ms: number }[] = [];
  let accepted = 0;
  const early = await withoutDescriptors(async () => {
    listening.accept({
      onConnection: (link) => {
        accepted++;
        echo(link).catch(() => {}).finally(() => link.close());
      },
      onFailure: (failure) => failures.push(failure),
    });
    while (failures.length < 4) await turn();
    return accepted;
  });
  for (const [i, client] of clients.entries()) {
    client.send(pattern(0, 1000, i));
    assertSameBytes(await client.receive(1000), pattern(0, 1000, i));
    client[Symbol.dispose]();
  }
  await listening.close();
  await engine.close();
  return { early, accepted, failures: failures.slice(0, 4) };
}

/** Whoever wants one learns what is missing. */
async function connect(name: EngineName): Promise<unknown> {
  const { engine, listening } = open(name);
  const address = addressOf(listening);
  const told = await withoutDescriptors(async () => {
    const tcp = await codeOf(engine.connect(address, {}));
    const unix = await codeOf(engine.connect({ kind: "unix", path: "/nosuch" }, {}));
    let listen = "";
    try {
      engine.listen({ hostname: "127.0.0.1", port: 0 }, { backlog: 1, isShared: false, tcp: {} });
    } catch (error) {
      listen = reasonOf(error);
    }
    const { engine: other, why } = openEngine("auto");
    return { tcp, unix, listen, other: other.name, why };
  });
  const link = await engine.connect(address, {}); // all is well again
  link.close();
  await listening.close();
  await engine.close();
  return told;
}

/**
 * Echoes bytes while whoever started this sends signals all the time, until some have come in the middle of a wait for events. Says so, and
 * ends when nothing more comes from there: a signal would end it as soon as nobody listens for it.
 */
async function signals(name: EngineName): Promise<unknown> {
  let count = 0;
  Deno.addSignalListener("SIGUSR2", () => count++);
  const interrupted = name === "deno" ? () => 1 : countInterrupted();
  console.error("ready");
  const { engine, listening } = open(name);
  listening.accept({
    onConnection: (link) => void echo(link).catch(() => {}).finally(() => link.close()),
    onFailure() {},
  });
  for (let round = 0; count < 200 || interrupted() === 0; round++) {
    const link = await engine.connect(addressOf(listening), {});
    const received = readExactly(link, 300_000);
    await writeAll(link, pattern(0, 300_000, round));
    assertSameBytes(await received, pattern(0, 300_000, round));
    for (let turns = 0; turns < 5; turns++) await turn(); // it has nothing to do but to wait
    link.close();
  }
  await listening.close();
  await engine.close();
  console.error("over");
  await Deno.stdin.read(new Uint8Array(1));
  return "every byte";
}

/** How many waits for events a signal has ended so far, or one after such a one. */
function countInterrupted(): () => number {
  let count = 0;
  const { wait } = System.prototype;
  System.prototype.wait = function (epoll, events, timeout) {
    const n = wait.call(this, epoll, events, timeout);
    if (n === 0 && this.errno === EINTR) count++;
    return n;
  };
  const { enter } = RingCalls.prototype;
  RingCalls.prototype.enter = function (...args) {
    const n = enter.apply(this, args);
    if (n < 0 && System.open().errno === EINTR) count++;
    return n;
  };
  return () => count;
}

/** Writes to who is gone, with nothing that keeps SIGPIPE off. */
async function pipe(name: EngineName): Promise<unknown> {
  const { engine, listening } = open(name);
  const links: { close(): void }[] = [];
  listening.accept({ onConnection: (link) => links.push(link), onFailure() {} });
  const link = await engine.connect(addressOf(listening), {});
  while (links.length === 0) await turn();
  links[0]!.close();
  defaultSignal(SIGPIPE);
  const codes: string[] = [];
  while (codes.at(-1) !== "EPIPE") codes.push(await codeOf(link.write(new Uint8Array(10))));
  link.close();
  await listening.close();
  await engine.close();
  return codes.at(-1);
}

if (import.meta.main) {
  const scenes = { accept, connect, signals, pipe };
  const [scene, name] = Deno.args as [keyof typeof scenes, EngineName];
  console.log(JSON.stringify(await scenes[scene](name)));
  Deno.exit(0);
}
