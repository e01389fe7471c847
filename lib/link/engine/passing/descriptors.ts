import { System } from "../system.ts";

/** Descriptors that came from another process, or are to go to one, and that nothing watches. Whatever of them is not taken is closed in the end. */
export class Descriptors implements Disposable {
  readonly #left: number[];

  /** Owns them. */
  constructor(numbers: readonly number[] = []) {
    this.#left = [...numbers];
  }

  /** Owns another one, and gives its number. */
  add(fd: number): number {
    this.#left.push(fd);
    return fd;
  }

  /** Those that are not taken, which stay its own. */
  get numbers(): readonly number[] {
    return this.#left;
  }

  /** The next so many of them, all that are left by default, which are the caller's from now on. Throws when there are not so many. */
  take(count = this.#left.length): number[] {
    if (count > this.#left.length) {
      throw new Error(`${count} descriptors are wanted, and there are ${this.#left.length}`);
    }
    return this.#left.splice(0, count);
  }

  /** Closes what is left. May be called again. */
  [Symbol.dispose](): void {
    for (const fd of this.#left.splice(0)) System.open().close(fd);
  }
}
