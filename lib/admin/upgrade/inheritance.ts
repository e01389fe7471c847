import type { Config } from "../../config.ts";
import { descriptorLimit, openDescriptors } from "../../link/descriptor_limit.ts";
import { Descriptors } from "../../link/engine/passing/descriptors.ts";
import type { Came } from "../../link/kcp/away.ts";
import { type Endpoint, reasonOf } from "../../link/link.ts";
import type { InheritedPlane } from "../../proxy/cluster/node_process.ts";
import type { PassedListener } from "../../proxy/data_plane.ts";
import type { IdLayout } from "../../proxy/owner.ts";
import { within } from "../../within.ts";
import { clusterIdentity, refuseOther } from "../cluster_identity.ts";
import { enter } from "./door.ts";
import { CUT, type Message, type Parcel } from "../../link/engine/passing/parcel.ts";
import type { PlainData } from "../../link/engine/passing/plain_data.ts";
import { FORMAT, type FromNew, type FromOld, LATEST, type OldNode, UPGRADE_VARIABLE, UpgradeFailed } from "./steps.ts";
import type { UpgradeRecord } from "./upgrade_record.ts";

/** Milliseconds for the other process to let go of what it does not use any more. */
const PATIENCE = 10_000;
/** Milliseconds between two looks whether it has ended. */
const LOOK = 10;
/** Descriptors that are kept free, of clients that come meanwhile, and what part of the limit at the most. */
const RESERVE = 256;
const PART = 1 / 8;

/** What a process goes on with: for each listener of its configuration that of the process before; missing: it had none there. */
export interface InheritedFor extends InheritedPlane {
  manager: PassedListener | undefined;
}

/** What becomes of the sessions that come. */
export interface Heir {
  /** How its threads share sessions. */
  layout: IdLayout;
  /** Takes sessions over a lane to that thread: the descriptor is its own from now on. */
  takeSessions(thread: number, lane: number): void;
  /** Throws when it cannot take that session with so many descriptors. */
  assertMovable(session: unknown, descriptors: number): void;
  /** Takes it over, and its descriptors, which it owns when this has settled. Rejects when it cannot after all. */
  take(session: unknown, descriptors: readonly number[]): Promise<void> | void;
  /** What came for sessions of KCP while the other process reads their sockets: see `OnDatagrams`. */
  hearDatagrams(cookie: number, came: readonly Came[]): void;
  /** One is lost, and why. */
  onLost(reason: string): void;
}

/** What the process before has for this one, which it started to take over from it. See `steps.ts`. */
export class Inheritance {
  readonly #parcel: Parcel;
  readonly #close: () => Promise<void>;
  #from = 0;
  #coming: unknown;
  #record: UpgradeRecord | undefined;
  /** What has come and is not this process's yet. */
  readonly #held: Message[] = [];
  /** Settles when it is known what became of those that it was told to go on with. Never rejects. */
  #taking: Promise<unknown> = Promise.resolve();
  /** Settles when the next step is taken, of those that are late. */
  #late: Promise<void> | undefined;
  #cluster: OldNode | undefined;
  /** How many descriptors may come. */
  #descriptors = 0;

  /**
   * Enters where the environment says, which children do not hear of any more; `undefined`: nobody started this process for that. Rejects
   * with `UpgradeFailed` when nobody is there, or what that one passes cannot be read.
   */
  static async open(version: string): Promise<Inheritance | undefined> {
    const path = Deno.env.get(UPGRADE_VARIABLE);
    if (path === undefined) return undefined;
    Deno.env.delete(UPGRADE_VARIABLE);
    const { parcel, close } = enterAt(path);
    const inheritance = new Inheritance(parcel, close);
    await inheritance.#say({ step: "started", format: FORMAT, version });
    const hello = await inheritance.#hear("hello");
    inheritance.#from = hello.pid;
    inheritance.#cluster = hello.cluster;
    if (hello.format === FORMAT || hello.format === FORMAT - 1) return inheritance;
    const reason =
      `goscon ${version} cannot take over from goscon ${hello.version}: formats ${FORMAT} and ${hello.format}`;
    await inheritance.refuse([reason]);
    throw new UpgradeFailed([reason]);
  }

  private constructor(parcel: Parcel, close: () => Promise<void>) {
    this.#parcel = parcel;
    this.#close = close;
  }

  /** Which sessions are to come, when this process was asked to serve. */
  get coming(): unknown {
    return this.#coming;
  }

  /** What came of all upgrades, when this process has all that there was. */
  get record(): UpgradeRecord | undefined {
    return this.#record;
  }

  /** The process before, by its number. */
  get from(): number {
    return this.#from;
  }

  /**
   * Says that the configuration is right, and gives what there is for it; what it has no use for is closed. Rejects with `ConfigError` when
   * by that this process would be another one in its cluster than the old one.
   */
  async listeners({ listen, manager, ...more }: Pick<Config, "listen" | "manager" | "cluster">): Promise<InheritedFor> {
    refuseOther(clusterIdentity(more), this.#cluster?.identity, "upgrade");
    await this.#say({ step: "read" });
    const left = { proxy: [] as PassedListener[], manager: [] as PassedListener[], cluster: [] as PassedListener[] };
    for (;;) {
      using message = await this.#receive("listener");
      const said = message.data as FromOld;
      if (said.step === "listeners") {
        this.#descriptors = said.descriptors ?? 0;
        break;
      }
      if (said.step !== "listener") throw new UpgradeFailed([`the old process says ${said.step} before listeners`]);
      const descriptors = message.descriptors.take();
      left[said.owner]?.push({ ...said.listener, descriptors });
    }
    const take = (owner: keyof typeof left, { hostname, port }: Endpoint, isKcp = false) => {
      const at = left[owner].findIndex((each) =>
        each.hostname === hostname && each.port === port && (each.isKcp ?? false) === isKcp
      );
      return at < 0 ? undefined : left[owner].splice(at, 1)[0];
    };
    const inherited = {
      listen: listen.map((each) => take("proxy", each, each.kcp !== undefined)),
      manager: manager && take("manager", manager),
      door: left.cluster.shift(),
      node: this.#cluster?.node,
    };
    new Descriptors([...left.proxy, ...left.manager].flatMap(({ descriptors }) => descriptors))[Symbol.dispose]();
    return inherited;
  }

  /**
   * Says that all is ready, and settles when this process is to serve: with `alone` when the other one is gone without having said so, and
   * nobody else has what was passed. Rejects when it is not to, or has no room for what may come.
   */
  async ready(): Promise<"asked" | "alone"> {
    assertRoomFor(this.#descriptors);
    let message: Message | undefined;
    try {
      await this.#say({ step: "ready" });
      message = await this.#parcel.receive();
    } catch {
      return "alone";
    }
    using said = message;
    const asked = said?.data as FromOld | undefined;
    if (asked?.step === "take over") {
      this.#coming = asked.coming;
      return "asked";
    }
    throw new UpgradeFailed(["the old process goes on by itself"]);
  }

  /**
   * Says that this process serves, and has sessions taken, in the order in which they come. Gives whether it has all that there was, and
   * is the service from now on: else the other process is gone, and what it had left with it. Never rejects.
   */
  async takeSessions(heir: Heir): Promise<boolean> {
    try {
      await this.#say({ step: "serving", layout: heir.layout });
      while (!this.#record) await this.#takeStep(heir);
      await this.#say({ step: "done" });
      this.#late = this.#takeStep(heir);
      await within(PATIENCE, this.#late.catch(() => {})); // it is gone, and has given all
      return true;
    } catch {
      this.#dropHeld();
      await this.#taking;
      // One that lives has what did not come, and ends this one: nobody is to be told before that it is lost.
      for (let waited = 0; Deno.ppid === this.#from && waited < PATIENCE; waited += LOOK) {
        await new Promise((resolve) => setTimeout(resolve, LOOK));
      }
      return false;
    }
  }

  /** Has sessions taken that come late, until the other process has let go of all, or is gone, or has taken its time. Never rejects. */
  async leave(heir: Heir): Promise<void> {
    await within(LATEST + PATIENCE, this.#takeLate(heir).catch(() => {})); // that was the end
    await this.#close();
    this.#dropHeld();
  }

  async #takeLate(heir: Heir): Promise<void> {
    try {
      await this.#late;
      while (this.#late) await this.#takeStep(heir);
    } finally {
      await this.#taking;
    }
  }

  /** The old process may have gone on with these, before it ended. */
  #dropHeld(): void {
    for (const message of this.#held.splice(0)) message[Symbol.dispose]();
  }

  /** Says why this process does not take over. Never rejects. */
  async refuse(faults: readonly string[]): Promise<void> {
    await this.#say({ step: "faults", faults: [...faults] }).catch(() => {}); // nobody wants to know
    await this.#close();
  }

  async #takeStep(heir: Heir): Promise<void> {
    const message = await this.#receiveAny("session");
    const said = message.data as FromOld;
    if (said.step === "session") {
      const refused = message.isCut
        ? CUT
        : refusalOf(() => heir.assertMovable(said.session, message.descriptors.numbers.length));
      if (refused === undefined) this.#held.push(message);
      else message[Symbol.dispose]();
      return await this.#say({ step: "held", ...(refused !== undefined && { refused }) });
    }
    if (said.step === "lane") return takeLane(message, said.thread, heir);
    message[Symbol.dispose]();
    if (said.step === "datagrams") return heir.hearDatagrams(said.cookie, said.came);
    // Others come and are looked at meanwhile, but no two steps are taken at once: what comes first is there first, and nothing piles up.
    await this.#taking;
    if (said.step === "go on") this.#taking = this.#takeHeld(heir);
    else if (said.step === "done") this.#record = readRecord(said.record);
    else if (said.step !== "late") throw new UpgradeFailed([`the old process says ${said.step} before done`]);
  }

  /** Never rejects. */
  async #takeHeld(heir: Heir): Promise<void> {
    await Promise.all(this.#held.splice(0).map((message) => takeOne(message, heir)));
    await this.#say({ step: "taken" }).catch(() => {}); // it is gone, which is heard of by the next step
  }

  #say(message: FromNew): Promise<void> {
    return this.#parcel.send(message as unknown as PlainData);
  }

  /** `step`: what is waited for. */
  async #receive(step: FromOld["step"]): Promise<Message> {
    const message = await this.#receiveAny(step);
    if (message.isCut) throw new UpgradeFailed([CUT]);
    return message;
  }

  async #receiveAny(step: FromOld["step"]): Promise<Message> {
    const message = await this.#parcel.receive();
    if (message) return message;
    throw new UpgradeFailed([`the old process has given it up before ${step}`]);
  }

  async #hear<S extends FromOld["step"]>(step: S): Promise<Extract<FromOld, { step: S }>> {
    using message = await this.#receive(step);
    const said = message.data as FromOld;
    if (said.step !== step) throw new UpgradeFailed([`the old process says ${said.step} before ${step}`]);
    return said as Extract<FromOld, { step: S }>;
  }
}

function enterAt(path: string): ReturnType<typeof enter> {
  try {
    return enter(path);
  } catch (error) {
    throw new UpgradeFailed([`Cannot take over from the process at ${path}: ${reasonOf(error)}`]);
  }
}

/** Throws when there is none: the other process gives it up then. */
function takeLane(message: Message, thread: number, heir: Heir): void {
  using owned = message;
  if (owned.isCut) throw new UpgradeFailed([CUT]);
  heir.takeSessions(thread, owned.descriptors.take(1)[0]!);
}

async function takeOne(message: Message, heir: Heir): Promise<void> {
  using owned = message;
  const { session } = owned.data as Extract<FromOld, { step: "session" }>;
  try {
    await heir.take(session, owned.descriptors.numbers);
    owned.descriptors.take();
  } catch (error) {
    heir.onLost(reasonOf(error));
  }
}

/** Throws `UpgradeFailed` when there are too few descriptors for so many that are to come, where the system tells. */
function assertRoomFor(coming: number): void {
  const limit = descriptorLimit()?.soft ?? Infinity;
  const open = openDescriptors() ?? 0;
  const reserve = Math.min(RESERVE, Math.floor(limit * PART));
  if (open + coming + reserve <= limit) return;
  throw new UpgradeFailed([
    `the limit of ${limit} descriptors leaves no room for the ${coming} of the old process, ${open} that are open and ${reserve} to spare`,
  ]);
}

/** Of another release's last upgrade nothing is told, if it was told of otherwise. */
function readRecord({ last, ...counts }: UpgradeRecord): UpgradeRecord {
  return { ...counts, ...(last?.standStill && { last }) };
}

function refusalOf(check: () => void): string | undefined {
  try {
    check();
    return undefined;
  } catch (error) {
    return reasonOf(error);
  }
}
