/** Milliseconds between two looks: no event tells what the system of the other end has acknowledged. */
const LOOK = 4;

/** One whose backend is not read, because too much is on its way to its client. */
export interface HeldUp {
  /** Goes on, if it may: gives whether it is not to be asked again. */
  goOn(): boolean;
}

/** Sessions that wait until less is on its way to their clients. */
export class InFlight {
  /** Whether there is such a bound: see `Config.scp.inFlight`. */
  isBounded: boolean;
  readonly #heldUp = new Set<HeldUp>();
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor(isBounded: boolean) {
    this.isBounded = isBounded;
  }

  /** Asks that session again and again. */
  hold(session: HeldUp): void {
    this.#heldUp.add(session);
    this.#timer ??= setTimeout(() => this.#look(), LOOK);
  }

  /** To be called when there are no sessions any more. */
  stop(): void {
    clearTimeout(this.#timer);
  }

  #look(): void {
    this.#timer = undefined;
    for (const session of this.#heldUp) {
      if (session.goOn()) this.#heldUp.delete(session);
    }
    if (this.#heldUp.size > 0) this.#timer ??= setTimeout(() => this.#look(), LOOK);
  }
}
