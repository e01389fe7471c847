import assert from "node:assert/strict";
import type { SocketFlow } from "../../lib/link/engine/socket_flow.ts";
import type { Sink } from "../../lib/link/flow.ts";
import { assertSameBytes } from "./bytes.ts";
import { pattern, type Random } from "./random.ts";

const FILL = 64 * 1024;
/** What a step does, and how often of all the times together. */
const STEPS = [
  ["write", 40],
  ["resume", 25],
  ["pause", 12],
  ["move", 8],
  ["closeWrite", 1],
  ["close", 1],
  ["reset", 1],
] as const;
type Step = typeof STEPS[number][0];

/** One end of a connection whose owner does whatever comes to mind; it knows what it may be told, and keeps what it should not have been. */
export class ModelEnd implements Sink {
  readonly number: number;
  readonly #flow: SocketFlow;
  readonly #random: Random;
  readonly #onFault: (error: unknown) => void;
  #peer!: ModelEnd;
  #sent = 0;
  #received = 0;
  #most = 0;
  #isPaused = true;
  /** Nothing that came, or comes, is the flow's: it may give its descriptor away. */
  #isQuiet = true;
  #isFinished = false;
  #isBroken = false;
  #gone: "close" | "reset" | undefined;
  /** What the other end had sent when this one was closed. */
  #toldAtClose = -1;
  #heard: "ended" | "lost" | undefined;
  #isInCall = false;
  #isFinishing = false;

  /** `onFault` hears of each thing that should not be. */
  constructor(flow: SocketFlow, number: number, random: Random, onFault: (error: unknown) => void) {
    [this.#flow, this.number, this.#random, this.#onFault] = [flow, number, random, onFault];
    flow.sink = this;
  }

  /** What each sends, the other gets. */
  static join(one: ModelEnd, other: ModelEnd): void {
    [one.#peer, other.#peer] = [other, one];
  }

  /** Does something, at random. */
  step(): void {
    const all = STEPS.reduce((sum, [, times]) => sum + times, 0);
    let left = this.#random.int(1, all);
    const [step] = STEPS.find(([, times]) => (left -= times) <= 0)!;
    this.#guard(() => this.#do(step));
  }

  /** Nothing more is done but to take what comes. */
  finish(): void {
    this.#isFinishing = true;
    this.#guard(() => this.#do("resume"));
  }

  /** All has come that will. */
  get isOver(): boolean {
    if (this.#gone || this.#heard) return true;
    if (this.#peer.#gone) return false; // it will hear of that
    return this.#received === this.#peer.#sent && !this.#peer.#isFinished;
  }

  close(): void {
    this.#guard(() => this.#do("close"));
  }

  readable(bytes: Uint8Array<ArrayBuffer>): void {
    this.#told(() => {
      assert(!this.#isPaused, "it told of bytes while it was paused");
      assert(bytes.length > 0 && bytes.length <= this.#most, `it told of ${bytes.length}, not ${this.#most}`);
      assertSameBytes(bytes, pattern(this.#received, bytes.length, this.#peer.number), `at ${this.#received}`);
      this.#received += bytes.length;
      if (!this.#isFinishing && this.#random.next() < 0.3) this.step();
    });
    this.#isQuiet = this.#isPaused && this.#received === this.#peer.#sent;
  }

  writable(): void {
    if (this.#heard === "lost") return; // who writes hears of it too
    this.#told(() => {
      if (!this.#isFinishing && this.#random.next() < 0.8) this.#do("write");
    });
  }

  ended(): void {
    this.#told(() => {
      this.#heard = "ended";
      assert(!this.#isPaused, "it told of the end while it was paused");
      assert(this.#peer.#isFinished || this.#peer.#gone, "it ended without a reason");
      if (!this.#mayLose) assert.equal(this.#received, this.#peer.#sent, "bytes before the end");
    });
  }

  lost(error: unknown): void {
    this.#told(() => {
      this.#heard = "lost";
      assert(this.#mayLose, `it broke without a reason: ${error}`);
    });
  }

  describe(): string {
    return `end ${this.number}: ${this.#received} of ${this.#peer.#sent} came, ${this.#heard}, ${this.#gone}`;
  }

  /** Whether the other end was closed so that what it sent may be lost: the system then resets it. */
  get #mayLose(): boolean {
    const peer = this.#peer;
    if (peer.#gone !== "close") return peer.#gone === "reset";
    return peer.#toldAtClose !== peer.#received || this.#sent > peer.#toldAtClose;
  }

  #do(step: Step): void {
    if (this.#gone) return;
    this.#isInCall = true;
    if (step === "write") this.#write();
    else if (step === "resume") this.#resume();
    else if (step === "pause") this.#pause();
    else if (step === "move") this.#move();
    else if (step === "closeWrite") this.#finishWriting();
    else this.#leave(step);
    this.#isInCall = false;
  }

  #write(): void {
    if (this.#isFinished || this.#isBroken) return;
    const size = [20, 1024, 1500, 100_000][this.#random.int(0, 3)]!;
    const length = this.#random.next() < 0.2 ? size : this.#random.int(0, size);
    try {
      const n = this.#flow.write(pattern(this.#sent, length, this.number));
      assert(n >= 0 && n <= length);
      this.#sent += n;
    } catch (error) {
      assert(this.#mayLose || this.#peer.#gone, `a write failed without a reason: ${error}`);
      this.#isBroken = true;
    }
  }

  #resume(): void {
    this.#most = this.#random.next() < 0.5 ? this.#random.int(1, 2000) : FILL;
    this.#isPaused = this.#isQuiet = false;
    this.#flow.resume(this.#most);
  }

  #pause(): void {
    this.#isPaused = true;
    this.#flow.pause();
  }

  /** Gives its descriptor away, and has it back: when nothing is under way. */
  #move(): void {
    const isQuiet = this.#isQuiet && this.#received === this.#peer.#sent && this.#peer.#received === this.#sent;
    if (!isQuiet || this.#heard || this.#isBroken || this.#peer.#gone) return;
    this.#flow.attach(this.#flow.detach()!);
  }

  #finishWriting(): void {
    this.#isFinished = true;
    this.#flow.closeWrite();
  }

  #leave(how: "close" | "reset"): void {
    this.#gone = how;
    this.#toldAtClose = this.#peer.#sent;
    this.#flow[how]();
  }

  /** It is told something. */
  #told(hear: () => void): void {
    this.#guard(() => {
      assert(!this.#isInCall, "it told in the middle of a call");
      assert(!this.#gone, "it told who has closed it");
      assert(this.#heard !== "lost", "it told something after the loss");
      hear();
    });
  }

  #guard(run: () => void): void {
    try {
      run();
    } catch (error) {
      this.#isInCall = false;
      this.#onFault(new Error(this.describe(), { cause: error }));
    }
  }
}
