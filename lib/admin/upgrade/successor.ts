import type { Log } from "../../log.ts";
import { openDescriptors } from "../../link/descriptor_limit.ts";
import { reasonOf } from "../../link/link.ts";
import type { Destination, OnDatagrams, PassedListener } from "../../proxy/data_plane.ts";
import type { IdLayout } from "../../proxy/owner.ts";
import { Descriptors } from "../../link/engine/passing/descriptors.ts";
import { System } from "../../link/engine/system.ts";
import { within } from "../../within.ts";
import { Door } from "./door.ts";
import type { Invocation } from "./invocation.ts";
import { BrokenParcel, type Message, type Parcel } from "../../link/engine/passing/parcel.ts";
import type { PlainData } from "../../link/engine/passing/plain_data.ts";
import {
  FORMAT,
  type FromNew,
  type FromOld,
  type ListenerOwner,
  type OldNode,
  UPGRADE_VARIABLE,
  UpgradeFailed,
} from "./steps.ts";
import type { UpgradeRecord } from "./upgrade_record.ts";

/** Milliseconds from the break of the channel to the end of the process, which says more. */
const LAST_WORDS = 1000;
/** Messages of datagrams at most that wait for the other process to read: of more, as when it hangs, the last are lost. */
const MOST_UNTAKEN = 256;

export interface SuccessorOptions {
  invocation: Invocation;
  /** Milliseconds until it must be ready, and then for each step. */
  timeout: number;
  /** Of this program. */
  version: string;
  /** Who this process is in its cluster; missing: it is alone. */
  cluster?: OldNode | undefined;
  log: Log;
}

/**
 * The process that is to take over from this one, as this one sees it. Each step rejects with `UpgradeFailed` when the process has faults
 * to tell, ends, or takes too long; then `abandon` is to be called, after which it has nothing. See `steps.ts`.
 */
export class Successor implements Destination {
  /** From `takeOver` on. */
  layout!: IdLayout;
  readonly #options: SuccessorOptions;
  readonly #door: Door;
  readonly #child: Deno.ChildProcess;
  readonly #status: Promise<Deno.CommandStatus>;
  readonly #abandoned = Promise.withResolvers<never>();
  readonly #begun = performance.now();
  #parcel: Parcel | undefined;
  /** Datagrams that are on their way, in so many messages. */
  #untaken = 0;

  /** Starts it. Throws `UpgradeFailed` when it cannot. */
  constructor(options: SuccessorOptions) {
    this.#options = options;
    const { invocation: { command, args }, log } = options;
    this.#abandoned.promise.catch(() => {}); // nobody may be waiting
    try {
      this.#door = new Door((user) => log.warning("a stranger wants to take over", { user }));
    } catch (error) {
      throw new UpgradeFailed([`there can be no socket to pass things over: ${reasonOf(error)}`]);
    }
    try {
      const env = { [UPGRADE_VARIABLE]: this.#door.path };
      this.#child = new Deno.Command(command, { args, env, stdin: "null" }).spawn();
    } catch (error) {
      void this.#door.close();
      throw new UpgradeFailed([`${command} cannot be started: ${reasonOf(error)}`]);
    }
    this.#status = this.#child.status;
  }

  get pid(): number {
    return this.#child.pid;
  }

  /** Settles when it has read its configuration, in which there is no fault. */
  async begin(): Promise<void> {
    const entered = this.#door.accept();
    entered.catch(() => {}); // the process may end before
    const first = await this.#withinTime(Promise.race([entered, this.#status]), "started");
    if ("code" in first) throw new UpgradeFailed([wordsOf(first)]);
    this.#parcel = first;
    await this.#hear("started");
    const { version, cluster } = this.#options;
    await this.#say({ step: "hello", format: FORMAT, version, pid: Deno.pid, cluster });
    await this.#hear("read");
  }

  /** Gives it a listener, whose descriptors stay the caller's. */
  async give(owner: ListenerOwner, { descriptors, ...listener }: PassedListener): Promise<void> {
    await this.#say({ step: "listener", owner, listener }, descriptors);
  }

  /** Settles when it is ready to take over: it has been given all listeners, and has room for as many descriptors as this process. */
  async ready(): Promise<void> {
    await this.#say({ step: "listeners", descriptors: openDescriptors() });
    await this.#hear("ready");
  }

  /** Has it take over, and settles when it serves. Nobody must be accepted here any more. `coming`: which are to come. */
  async takeOver(coming: PlainData): Promise<void> {
    await this.#say({ step: "take over", coming });
    ({ layout: this.layout } = await this.#hear("serving", performance.now()));
  }

  /** See `Destination`. */
  async openLane(thread: number): Promise<number> {
    const [near, far] = System.open().socketPair();
    using ends = new Descriptors([near, far]);
    await this.#say({ step: "lane", thread }, [far]);
    return ends.take(1)[0]!;
  }

  /** Gives it what is no session, and settles when it has that: with why it cannot take it, if so. */
  async pass(piece: PlainData): Promise<string | undefined> {
    const begun = performance.now();
    await this.#say({ step: "session", session: piece });
    await this.#say({ step: "go on" }); // there is nothing to be taken of what it refuses
    const { refused } = await this.#hear("held", begun);
    await this.#hear("taken", begun);
    return refused;
  }

  /** See `Destination`. What it does not take is lost. */
  readonly onDatagrams: OnDatagrams = (cookie, came) => {
    if (this.#untaken === MOST_UNTAKEN) return;
    this.#untaken++;
    const message = { step: "datagrams", cookie, came } as const;
    this.#parcel!.send(message as unknown as PlainData)
      .catch(() => {}) // whoever passes sessions hears of it
      .finally(() => this.#untaken--);
  };

  /** Says that it has all now, and what came of all upgrades, of this one as well. */
  async finish(record: UpgradeRecord): Promise<void> {
    await this.#say({ step: "done", record });
    await this.#hear("done", performance.now());
  }

  /** Says that what comes from now on is late. */
  async late(): Promise<void> {
    await this.#say({ step: "late" });
  }

  /** What its end says, when it is gone, or will be in a moment. */
  async lastWords(): Promise<UpgradeFailed | undefined> {
    const status = await within(LAST_WORDS, this.#status);
    return status && new UpgradeFailed([wordsOf(status)]);
  }

  /** Lets go of it: it goes on alone. May be called again. */
  async leave(): Promise<void> {
    // It is gone, or takes nothing: that is its own matter.
    await within(LAST_WORDS, this.#parcel?.end()).catch(() => {});
    await this.#door.close();
  }

  /** Ends it at once; what is under way rejects for this reason. Settles when it is gone. May be called again. */
  async abandon(reason: string): Promise<void> {
    this.#abandoned.reject(new UpgradeFailed([reason]));
    try {
      this.#child.kill("SIGKILL");
    } catch {
      // It is gone already.
    }
    await this.#status;
    await this.#door.close();
  }

  async #say(message: FromOld, descriptors: readonly number[] = []): Promise<void> {
    await this.#withinTime(this.#send(message, descriptors), message.step, performance.now());
  }

  /** `begun`: since when it may take its time. */
  #hear<S extends FromNew["step"]>(step: S, begun = this.#begun): Promise<Extract<FromNew, { step: S }>> {
    return this.#withinTime(this.#receive(step), step, begun);
  }

  async #send(message: FromOld, descriptors: readonly number[]): Promise<void> {
    try {
      await this.#parcel!.send(message as unknown as PlainData, descriptors);
    } catch (error) {
      if (!(error instanceof BrokenParcel)) throw error;
      await this.#ended();
    }
  }

  /** Waits until it says that. */
  async #receive<S extends FromNew["step"]>(step: S): Promise<Extract<FromNew, { step: S }>> {
    using message: Message | undefined = await this.#parcel!.receive().catch(() => undefined);
    if (!message) return await this.#ended();
    const said = message.data as FromNew;
    if (said.step === "faults") throw new UpgradeFailed(said.faults);
    if (said.step !== step) throw new UpgradeFailed([`the new process says ${said.step} before ${step}`]);
    return said as Extract<FromNew, { step: S }>;
  }

  async #withinTime<T>(work: Promise<T>, step: string, begun = this.#begun): Promise<T> {
    const { timeout } = this.#options;
    const late = Symbol();
    const left = begun + timeout - performance.now();
    const result = await Promise.race([
      this.#abandoned.promise,
      within(Math.max(left, 0), work.then((value) => ({ value }))).then((done) => done ?? late),
    ]);
    if (typeof result !== "symbol") return result.value;
    throw new UpgradeFailed([`upgrade_timeout of ${timeout} ms is over, and the new process has not come to: ${step}`]);
  }

  /** Throws why it says nothing any more. */
  async #ended(): Promise<never> {
    throw await this.lastWords() ?? new UpgradeFailed(["the new process has broken off"]);
  }
}

function wordsOf({ code, signal }: Deno.CommandStatus): string {
  return `the new process ended ${signal ? `by ${signal}` : `with code ${code}`}`;
}
