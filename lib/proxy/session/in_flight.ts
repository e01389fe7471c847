import type { Engine } from "../../link/engine/engine.ts";

/** Milliseconds for which a session is asked in every round of events: on a fast network what is on its way arrives meanwhile. */
const SOON = 0.5;
/** Milliseconds between two looks at the others: no event tells what the system of the other end has acknowledged. */
const LATER = 4;

/** One whose backend is not read, because too much is on its way to its client. */
export interface HeldUp {
  /** Goes on, if it may: gives whether it is not to be asked again. */
  goOn(): boolean;
}

/** Sessions that wait until less is on its way to their clients. */
export class InFlight {
  /** Whether there is such a bound: see `Config.scp.inFlight`. */
  isBounded: boolean;
  readonly #engine: Pick<Engine, "soon">;
  /** Since when they are held up. */
  readonly #new = new Map<HeldUp, number>();
  readonly #others = new Set<HeldUp>();
  #isComing = false;
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor(isBounded: boolean, engine: Pick<Engine, "soon">) {
    this.isBounded = isBounded;
    this.#engine = engine;
  }

  /** Asks that session again and again. */
  hold(session: HeldUp): void {
    this.#new.set(session, performance.now());
    this.#comeSoon();
  }

  /** To be called when there are no sessions any more. */
  stop(): void {
    clearTimeout(this.#timer);
  }

  #comeSoon(): void {
    if (this.#isComing) return;
    this.#isComing = true;
    this.#engine.soon(() => this.#lookAtNew());
  }

  #lookAtNew(): void {
    this.#isComing = false;
    const now = performance.now();
    for (const [session, since] of this.#new) {
      const goesOn = session.goOn();
      if (!goesOn && now - since < SOON) continue;
      this.#new.delete(session);
      if (!goesOn) this.#others.add(session);
    }
    if (this.#new.size > 0) this.#comeSoon();
    if (this.#others.size > 0) this.#comeLater();
  }

  #comeLater(): void {
    this.#timer ??= setTimeout(() => {
      this.#timer = undefined;
      for (const session of this.#others) {
        if (session.goOn()) this.#others.delete(session);
      }
      if (this.#others.size > 0) this.#comeLater();
    }, LATER);
  }
}
