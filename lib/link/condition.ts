/** Where tasks wait for a state to change: each looks at the state, waits, and looks again. */
export class Condition {
  #pending: PromiseWithResolvers<void> | undefined;

  /** Until the next `notify`. */
  wait(): Promise<void> {
    this.#pending ??= Promise.withResolvers();
    return this.#pending.promise;
  }

  /** Wakes all that wait. Costs nothing when none does. */
  notify(): void {
    this.#pending?.resolve();
    this.#pending = undefined;
  }
}
