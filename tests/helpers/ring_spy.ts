import { ENOBUFS } from "../../lib/link/engine/system.ts";
import { Buffers } from "../../lib/link/engine/uring/buffers.ts";
import type { Mapping } from "../../lib/link/engine/uring/ring_calls.ts";
import { RingCalls } from "../../lib/link/engine/uring/ring_calls.ts";
import { RingFlow } from "../../lib/link/engine/uring/ring_flow.ts";
import { Wraps } from "./wraps.ts";

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
  readonly #wraps = new Wraps();

  /** `withheld`: so many of the buffers that the kernel may fill it never has. */
  constructor({ withheld = 0 } = {}) {
    this.#watchCalls();
    this.#watchBuffers();
    this.#wraps.around(Buffers.prototype, "giveBack", (giveBack) => (id) => {
      if (withheld-- <= 0) giveBack(id);
    });
  }

  [Symbol.dispose](): void {
    this.#wraps[Symbol.dispose]();
  }

  #watchCalls(): void {
    this.#wraps.around(RingCalls.prototype, "enter", (enter) => (...args) => {
      this.enters++;
      return enter(...args);
    });
    this.#wraps.around(RingCalls.prototype, "map", (map) => (...args) => {
      const mapping = map(...args);
      this.mapped.add(mapping);
      return mapping;
    });
    this.#wraps.around(RingCalls.prototype, "unmap", (unmap) => (mapping) => {
      this.mapped.delete(mapping);
      unmap(mapping);
    });
  }

  #watchBuffers(): void {
    this.#wraps.around(Buffers.prototype, "take", (take) => () => {
      const id = take();
      if (id < 0) this.noCopies++;
      else this.copies++;
      return id;
    });
    this.#wraps.around(Buffers.prototype, "free", (free) => (id) => {
      this.copies--;
      free(id);
    });
    this.#wraps.around(RingFlow.prototype, "onNothing", (tell) => (result) => {
      if (result === -ENOBUFS) this.refused++;
      tell(result);
    });
  }
}
