import assert from "node:assert/strict";
import type { SocketAddress } from "../../lib/link/dial.ts";
import { encodeAddress, familyOf } from "../../lib/link/engine/sockaddr.ts";
import { System } from "../../lib/link/engine/system.ts";
import { concat } from "./bytes.ts";
import { turn } from "./turns.ts";

const SYMBOLS = {
  getrlimit: { parameters: ["i32", "buffer"], result: "i32" },
  getsockopt: { parameters: ["i32", "i32", "i32", "buffer", "buffer"], result: "i32" },
  recv: { parameters: ["i32", "buffer", "usize", "i32"], result: "i32" },
  send: { parameters: ["i32", "buffer", "usize", "i32"], result: "i32" },
  seteuid: { parameters: ["u32"], result: "i32" },
  setrlimit: { parameters: ["i32", "buffer"], result: "i32" },
  setsockopt: { parameters: ["i32", "i32", "i32", "buffer", "u32"], result: "i32" },
  signal: { parameters: ["i32", "pointer"], result: "pointer" },
  socket: { parameters: ["i32", "i32", "i32"], result: "i32" },
  socketpair: { parameters: ["i32", "i32", "i32", "buffer"], result: "i32" },
} as const;

// Here, as it stays open: a test that opened it would be said to leak it.
const libc = Deno.build.os === "linux" ? Deno.dlopen("libc.so.6", SYMBOLS).symbols : undefined;

const SOCK_STREAM_CLOEXEC = 0o2000001;
const [AF_UNIX, SOCK_DATAGRAM_NONBLOCK_CLOEXEC] = [1, 0o2004002];
const RLIMIT_NOFILE = 7;
export const MSG_OOB = 1;
const MSG_DONTWAIT = 0x40;
const MSG_NOSIGNAL = 0x4000;
const EAGAIN = 11;

/** Has this process open no descriptor of that number, or of a larger one, from now on. Gives what the limit was. */
export function limitDescriptors(count: number): number {
  const limit = new BigUint64Array(2);
  assert.equal(libc!.getrlimit(RLIMIT_NOFILE, limit), 0);
  const before = Number(limit[0]);
  limit[0] = BigInt(count);
  assert.equal(libc!.setrlimit(RLIMIT_NOFILE, limit), 0);
  return before;
}

/** The two ends of a way for datagrams within the process, which takes few that are not read: descriptors of the caller's. */
export function datagramPair(): [number, number] {
  const ends = new Int32Array(2);
  assert.equal(libc!.socketpair(AF_UNIX, SOCK_DATAGRAM_NONBLOCK_CLOEXEC, 0, ends), 0);
  return [ends[0]!, ends[1]!];
}

/** A signal does to this process what it does to any. */
export function defaultSignal(signal: number): void {
  libc!.signal(signal, null);
}

/** Does something without the rights of root. */
export async function asStranger(run: () => Promise<void>): Promise<void> {
  const isRoot = Deno.uid() === 0;
  if (isRoot) assert.equal(libc!.seteuid(65534), 0);
  try {
    await run();
  } finally {
    if (isRoot) assert.equal(libc!.seteuid(0), 0);
  }
}

/** A socket as the system has it, for what no engine does on purpose: urgent bytes, and calls that come one right after another. */
export class RawSocket implements Disposable {
  readonly #system = System.open();
  #fd: number;

  /** Owns the descriptor. */
  constructor(fd: number) {
    this.#fd = fd;
  }

  /** Connects to who listens there, whether that one accepts or not. */
  static connect(address: SocketAddress, { receiveBuffer }: { receiveBuffer?: number } = {}): RawSocket {
    const system = System.open();
    const to = encodeAddress(address, system);
    const socket = new RawSocket(libc!.socket(familyOf(to), SOCK_STREAM_CLOEXEC, 0));
    if (receiveBuffer) libc!.setsockopt(socket.#fd, 1, 8, new Int32Array([receiveBuffer]), 4);
    assert.equal(system.connect(socket.#fd, to), 0, `connecting failed: errno ${system.errno}`);
    return socket;
  }

  send(bytes: Uint8Array<ArrayBuffer>, flags = 0): void {
    assert.equal(libc!.send(this.#fd, bytes, BigInt(bytes.length), flags | MSG_NOSIGNAL), bytes.length);
  }

  /** What is there of at most so many bytes: empty at the end, `undefined` when nothing is. */
  tryReceive(most: number): Uint8Array<ArrayBuffer> | undefined {
    const bytes = new Uint8Array(most);
    const n = libc!.recv(this.#fd, bytes, BigInt(most), MSG_DONTWAIT);
    if (n >= 0) return bytes.subarray(0, n);
    const { errno } = this.#system;
    if (errno === EAGAIN) return undefined;
    throw this.#system.error(errno);
  }

  /** So many bytes, or those that came before the end. Rejects with the system's error. */
  async receive(count: number): Promise<Uint8Array<ArrayBuffer>> {
    const chunks: Uint8Array[] = [];
    for (let filled = 0; filled < count;) {
      const bytes = this.tryReceive(Math.min(count - filled, 65536));
      if (bytes?.length === 0) break;
      if (bytes) chunks.push(bytes);
      else await turn();
      filled += bytes?.length ?? 0;
    }
    return concat(chunks);
  }

  option(level: number, name: number): number {
    const value = new Int32Array(1);
    assert.equal(libc!.getsockopt(this.#fd, level, name, value, new Uint32Array([4])), 0);
    return value[0]!;
  }

  shutdownWrite(): void {
    assert.equal(this.#system.shutdownWrite(this.#fd), 0);
  }

  reset(): void {
    this.#system.setNoLinger(this.#fd);
    this[Symbol.dispose]();
  }

  [Symbol.dispose](): void {
    if (this.#fd >= 0) this.#system.close(this.#fd);
    this.#fd = -1;
  }
}
