import { encodeAddress, familyOf } from "../../lib/link/engine/sockaddr.ts";
import { EAGAIN, EINTR, SO_RCVBUF, SOL_SOCKET, System } from "../../lib/link/engine/system.ts";
import type { Link } from "../../lib/link/link.ts";
import { turn } from "./turns.ts";

// Here, as it stays open: a test that opened it would be said to leak it.
if (Deno.build.os === "linux") System.open();

/** As small as the system has it. */
const SMALLEST = 4096;
const ENOTCONN = 107;

/** A TCP connection, on Linux, whose system takes next to nothing that is not read: what is on its way waits at the other end. */
export class SmallLink implements Link {
  readonly #system = System.open();
  #fd: number;

  /** Connects to `host:port`. */
  constructor(address: string) {
    const at = address.lastIndexOf(":");
    const to = { kind: "tcp", hostname: address.slice(0, at), port: Number(address.slice(at + 1)) } as const;
    const bytes = encodeAddress(to, this.#system);
    this.#fd = this.#system.socket(familyOf(bytes));
    this.#system.setOption(this.#fd, SOL_SOCKET, SO_RCVBUF, SMALLEST);
    this.#system.connect(this.#fd, bytes);
  }

  async read(buffer: Uint8Array): Promise<number | null> {
    const own = new Uint8Array(buffer.length);
    const n = await this.#tried(() => this.#system.receive(this.#fd, own, own.length));
    buffer.set(own.subarray(0, n));
    return n === 0 ? null : n;
  }

  write(bytes: Uint8Array): Promise<number> {
    const own = bytes.slice();
    return this.#tried(() => this.#system.send(this.#fd, own));
  }

  closeWrite(): Promise<void> {
    if (this.#fd >= 0) this.#system.shutdownWrite(this.#fd);
    return Promise.resolve();
  }

  close(): void {
    if (this.#fd >= 0) this.#system.close(this.#fd);
    this.#fd = -1;
  }

  /** What was not read is gone. */
  reset(): void {
    if (this.#fd >= 0) this.#system.setNoLinger(this.#fd);
    this.close();
  }

  /** Tries until it is not in vain. */
  async #tried(call: () => number): Promise<number> {
    for (;;) {
      if (this.#fd < 0) throw new Error("the connection is closed");
      const n = call();
      if (n >= 0) return n;
      const { errno } = this.#system;
      if (![EAGAIN, EINTR, ENOTCONN].includes(errno)) throw this.#system.error(errno);
      await turn();
    }
  }
}
