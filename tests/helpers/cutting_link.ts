import type { Link } from "../../lib/link/link.ts";

/** A link that breaks once so many bytes have gone over it, either way, and takes or gives them to the last. */
export class CuttingLink implements Link {
  readonly #link: Link;
  #left: number;

  constructor(link: Link, cutAfter: number) {
    this.#link = link;
    this.#left = cutAfter;
  }

  async read(buffer: Uint8Array): Promise<number | null> {
    this.#check();
    const n = await this.#link.read(buffer.subarray(0, Math.max(1, this.#left)));
    this.#left -= n ?? 0;
    return n;
  }

  async write(bytes: Uint8Array): Promise<number> {
    this.#check();
    const n = await this.#link.write(bytes.subarray(0, Math.max(1, this.#left)));
    this.#left -= n;
    return n;
  }

  closeWrite(): Promise<void> {
    return this.#link.closeWrite();
  }

  close(): void {
    this.#link.close();
  }

  #check(): void {
    if (this.#left > 0) return;
    this.#link.close();
    throw new Error("cut by the test");
  }
}
