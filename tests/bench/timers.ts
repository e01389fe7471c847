/**
 * How late Deno's own timers are while an engine's links echo at full speed: what else a thread does must go on.
 *
 *     deno run -A tests/bench/timers.ts [auto|uring|epoll|deno] [links] [seconds]
 */
import type { EngineName } from "../../lib/config/engines.ts";
import type { AcceptedLink, SocketLink } from "../../lib/link/engine/engine.ts";
import { engineOf } from "../helpers/engine.ts";

const MESSAGE = 256;
/** Of the timer, in milliseconds. */
const PERIOD = 5;

async function echo(link: AcceptedLink): Promise<void> {
  const buffer = new Uint8Array(MESSAGE);
  for (let n = await link.read(buffer); n !== null; n = await link.read(buffer)) {
    await link.write(buffer.subarray(0, n));
  }
}

/** Sends a message each time that the one before is back, until it is closed. */
async function talk(link: SocketLink, onMessage: () => void): Promise<void> {
  const buffer = new Uint8Array(MESSAGE);
  for (;;) {
    await link.write(buffer);
    for (let filled = 0; filled < MESSAGE;) {
      const n = await link.read(buffer.subarray(filled));
      if (n === null) return;
      filled += n;
    }
    onMessage();
  }
}

/** How late each timer of a time was, in order, in milliseconds. */
async function lateness(seconds: number): Promise<number[]> {
  const late: number[] = [];
  for (const end = performance.now() + 1000 * seconds; performance.now() < end;) {
    const due = performance.now() + PERIOD;
    await new Promise((resolve) => setTimeout(resolve, PERIOD));
    late.push(performance.now() - due);
  }
  return late.sort((a, b) => a - b);
}

async function measure(name: EngineName, count: number, seconds: number): Promise<void> {
  const engine = engineOf(name);
  const listening = engine.listen({ hostname: "127.0.0.1", port: 0 }, { backlog: 4096, isShared: false, tcp: {} });
  const links: SocketLink[] = [];
  listening.accept({
    onConnection: (link) => {
      links.push(link);
      echo(link).catch(() => {}); // it was closed
    },
    onFailure: ({ reason }) => console.error(reason),
  });
  let messages = 0;
  for (let i = 0; i < count; i++) {
    const link = await engine.connect({ kind: "tcp", ...listening.address }, {});
    links.push(link);
    talk(link, () => messages++).catch(() => {});
  }
  await lateness(0.5); // to warm up
  messages = 0;
  const late = await lateness(seconds);
  const at = (part: number) => late[Math.floor(part * (late.length - 1))]!.toFixed(2);
  console.log(
    `${name}, ${count} links: ${Math.round(messages / seconds)} echoes a second; a timer of ${PERIOD} ms is late by ` +
      `${at(0.5)} ms at the median, ${at(0.99)} at the 99th percentile, ${at(1)} at the most`,
  );
  for (const link of links) link.close();
  await listening.close();
  await engine.close();
}

const [name = "auto", count = "100", seconds = "3"] = Deno.args;
await measure(name as EngineName, Number(count), Number(seconds));
