import { ENOBUFS, System } from "../../lib/link/engine/system.ts";
import { Buffers } from "../../lib/link/engine/uring/buffers.ts";
import type { Mapping } from "../../lib/link/engine/uring/ring_calls.ts";
import { RingCalls } from "../../lib/link/engine/uring/ring_calls.ts";
import { RingFlow } from "../../lib/link/engine/uring/ring_flow.ts";
import { until } from "./turns.ts";

/** Counts what the engine by io_uring does, while it lasts. To be there before the engine. */
export class RingSpy implements Disposable {
  /** Calls that hand over and take. */
  enters = 0;
  /** Mappings that were not given back. */
  readonly mapped = new Set<Mapping>();
  /** Copies that the kernel may still read, and how often there was none left. */
  copies = 0;
  noCopies = 0;
  /** Receives for which the kernel had no buffer. */
  refused = 0;
  /** Threads that sleep. */
  asleep = 0;
  readonly #restores: (() => void)[] = [];

  /** `withheld`: so many of the buffers that the kernel may fill it never has. */
  constructor({ withheld = 0 } = {}) {
    this.#watchCalls();
    this.#watchBuffers();
    this.#around(Buffers.prototype, "giveBack", (giveBack) => (id) => {
      if (withheld-- <= 0) giveBack(id);
    });
  }

  /** Waits until a thread sleeps. */
  async untilAsleep(): Promise<void> {
    await until(() => this.asleep > 0, () => "it does not come to sleep");
  }

  [Symbol.dispose](): void {
    for (const restore of this.#restores.reverse()) restore();
  }

  #watchCalls(): void {
    this.#around(RingCalls.prototype, "enter", (enter) => (...args) => {
      this.enters++;
      return enter(...args);
    });
    this.#around(RingCalls.prototype, "map", (map) => (...args) => {
      const mapping = map(...args);
      this.mapped.add(mapping);
      return mapping;
    });
    this.#around(RingCalls.prototype, "unmap", (unmap) => (mapping) => {
      this.mapped.delete(mapping);
      unmap(mapping);
    });
    this.#around(System.prototype, "waitForBell", (wait) => async (...args) => {
      this.asleep++;
      await wait(...args);
      this.asleep--;
    });
  }

  #watchBuffers(): void {
    this.#around(Buffers.prototype, "take", (take) => () => {
      const id = take();
      if (id < 0) this.noCopies++;
      else this.copies++;
      return id;
    });
    this.#around(Buffers.prototype, "free", (free) => (id) => {
      this.copies--;
      free(id);
    });
    this.#around(RingFlow.prototype, "onNothing", (tell) => (result) => {
      if (result === -ENOBUFS) this.refused++;
      tell(result);
    });
  }

  /** Puts something around a method of all objects of a class. */
  #around<T extends object, K extends keyof T>(prototype: T, name: K, wrap: (method: T[K]) => T[K]): void {
    const method = prototype[name] as (...args: unknown[]) => unknown;
    prototype[name] = function (this: T, ...args: unknown[]) {
      return (wrap(method.bind(this) as T[K]) as typeof method)(...args);
    } as T[K];
    this.#restores.push(() => prototype[name] = method as T[K]);
  }
}
