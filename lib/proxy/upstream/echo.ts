import { Condition } from "../../link/condition.ts";
import type { Link } from "../../link/link.ts";

/**
 * The backend `builtin:echo`: a link that gives back what is written to it. It holds no bytes of its own: a write
 * settles when reads have taken all of it, so there is back-pressure as a real backend's.
 */
export class EchoLink implements Link {
  readonly #changed = new Condition();
  #pending: Uint8Array | undefined;
  #ended = false;

  async read(buffer: Uint8Array): Promise<number | null> {
    while (!this.#pending) {
      if (this.#ended) return null;
      await this.#changed.wait();
    }
    const part = this.#pending.subarray(0, buffer.length);
    buffer.set(part);
    this.#pending = part.length < this.#pending.length ? this.#pending.subarray(part.length) : undefined;
    if (!this.#pending) this.#changed.notify();
    return part.length;
  }

  async write(bytes: Uint8Array): Promise<number> {
    if (this.#ended) throw new Error("Cannot write: the echo has ended");
    this.#pending = bytes;
    this.#changed.notify();
    while (this.#pending) await this.#changed.wait();
    return bytes.length;
  }

  closeWrite(): Promise<void> {
    this.#ended = true;
    this.#changed.notify();
    return Promise.resolve();
  }

  close(): void {
    this.#ended = true;
    this.#pending = undefined;
    this.#changed.notify();
  }
}
