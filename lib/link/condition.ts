const NOBODY = () => {};

/** Where tasks wait for a state to change: each looks at the state, waits, and looks again. */
export class Condition {
  #changed: Promise<void> | undefined;
  #wake: () => void = NOBODY;

  /** Until the next `notify`. */
  wait(): Promise<void> {
    this.#changed ??= new Promise((resolve) => this.#wake = resolve);
    return this.#changed;
  }

  /** Wakes all that wait. Costs nothing when none does. */
  notify(): void {
    this.#wake();
    this.#wake = NOBODY;
    this.#changed = undefined;
  }
}
