/**
 * The backends of a run, in a process of their own: `backend.ts BURST`. It says what it sees on standard output, an object
 * of JSON a line, `BackendReport`, and ends when its standard input does.
 */
import { type Link, reasonOf } from "../../lib/link/link.ts";
import { Backend, readExactly } from "../helpers/backend.ts";
import { Random } from "../helpers/random.ts";
import { decodeHello, HELLO, type Hello, streamsOf } from "./hello.ts";
import { sleep } from "./sleep.ts";
import { Checker, HALF_OPEN, Sender } from "./stream.ts";

/** What is on a line; each key only where there is news of it. */
export interface BackendReport {
  /** Where it listens: first of all. */
  addresses?: string[];
  /** Bytes of all clients that were checked so far: each second. */
  checked?: number;
  failure?: string;
}

/** How many addresses there are. */
const ADDRESSES = 2;

function report(report: BackendReport): void {
  console.log(JSON.stringify(report));
}

let checked = 0;

/** Serves one session to its end. */
async function attend(link: Link, burst: number): Promise<void> {
  const bytes = await readExactly(link, HELLO);
  if (bytes.length < HELLO) return; // a client that left in its handshake
  const hello = decodeHello(bytes);
  const { messages, version } = hello;
  const random = new Random(hello.seed);
  const sender = new Sender(link, streamsOf(hello.number).down, { random, burst, messages });
  const ending = sender.done.then(() => link.closeWrite());
  ending.catch(() => {}); // whoever reads from the link says so
  try {
    await checkAll(link, hello);
    if (version === 2) {
      if (await link.read(bytes) !== null) throw new Error("bytes after the last one");
      await sleep(random.int(0, HALF_OPEN)); // the client's direction has ended, and this one goes on
    }
    await Promise.all([sender.finish(), ending]);
    if (version === 1) { while (await link.read(bytes) !== null); }
  } catch (error) {
    if (!hello.mayEnd) report({ failure: `session ${hello.number}, at the backend: ${reasonOf(error)}` });
    sender.finish().catch(() => {});
  }
}

/** Settles when the client has said that there is no more. Rejects when a byte is wrong or the connection ends before. */
async function checkAll(link: Link, { number }: Hello): Promise<void> {
  const checker = new Checker(streamsOf(number).up);
  const buffer = new Uint8Array(16 * 1024);
  while (!checker.finished) {
    const n = await link.read(buffer);
    if (n === null) throw new Error(`its connection was closed after ${checker.checked} bytes, and more was to come`);
    try {
      checker.take(buffer.subarray(0, n));
    } catch (error) {
      report({ failure: `session ${number}, from the client: ${reasonOf(error)}` });
      throw error;
    }
    checked += n;
  }
}

if (import.meta.main) {
  const burst = Number(Deno.args[0]);
  const backends = Array.from({ length: ADDRESSES }, () => new Backend().serve((link) => attend(link, burst)));
  report({ addresses: backends.map(({ address }) => address) });
  setInterval(() => report({ checked }), 1000);
  for await (const _ of Deno.stdin.readable);
  Deno.exit(0);
}
