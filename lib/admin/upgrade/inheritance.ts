import type { Config } from "../../config.ts";
import { Descriptors } from "../../link/engine/passing/descriptors.ts";
import { type Endpoint, reasonOf } from "../../link/link.ts";
import type { PassedListener } from "../../proxy/data_plane.ts";
import { within } from "../../within.ts";
import { enter } from "./door.ts";
import type { Message, Parcel } from "./parcel.ts";
import type { PlainData } from "./plain_data.ts";
import { FORMAT, type FromNew, type FromOld, UPGRADE_VARIABLE, UpgradeFailed } from "./steps.ts";

/** Milliseconds for the other process to let go of what it does not use any more. */
const PATIENCE = 10_000;

/** What a process goes on with: for each listener of its configuration that of the process before; missing: it had none there. */
export interface InheritedFor {
  listen: (PassedListener | undefined)[];
  manager: PassedListener | undefined;
}

/** Takes a session over: its data, and its descriptors, of which those that are not taken are closed. Rejects when it cannot. */
export type TakeSession = (session: unknown, descriptors: Descriptors) => Promise<void> | void;

/** What the process before has for this one, which it started to take over from it. See `steps.ts`. */
export class Inheritance {
  readonly #parcel: Parcel;
  readonly #close: () => Promise<void>;
  #from = 0;
  #coming: unknown;

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

  /** The process before, by its number. */
  get from(): number {
    return this.#from;
  }

  /** Says that the configuration is right, and gives what there is for it; what it has no use for is closed. */
  async listeners({ listen, manager }: Pick<Config, "listen" | "manager">): Promise<InheritedFor> {
    await this.#say({ step: "read" });
    const left = { proxy: [] as PassedListener[], manager: [] as PassedListener[] };
    for (;;) {
      using message = await this.#receive("listener");
      const said = message.data as FromOld;
      if (said.step === "listeners") break;
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
    };
    new Descriptors([...left.proxy, ...left.manager].flatMap(({ descriptors }) => descriptors))[Symbol.dispose]();
    return inherited;
  }

  /**
   * Says that all is ready, and settles when this process is to serve: with `alone` when the other one is gone without having said so, and
   * nobody else has what was passed. Rejects when it is not to.
   */
  async ready(): Promise<"asked" | "alone"> {
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
   * Says that this process serves, and takes sessions as they come, each of which is this process's when `take` has settled. Gives whether
   * it has all that there was: else the other process is gone, and what it had left with it. Never rejects.
   */
  async takeSessions(take: TakeSession): Promise<boolean> {
    try {
      await this.#say({ step: "serving" });
      for (let answered = Promise.resolve();;) {
        const message = await this.#receive("session");
        const said = message.data as FromOld;
        if (said.step !== "session") message[Symbol.dispose]();
        if (said.step === "done") break;
        if (said.step !== "session") throw new UpgradeFailed([`the old process says ${said.step} before done`]);
        const taking = refusalOf(() => take(said.session, message.descriptors)).finally(() =>
          message[Symbol.dispose]()
        );
        answered = answered.then(async () => this.#tellTaken(await taking));
        answered.catch(() => {}); // who receives is told too
      }
      await this.#say({ step: "done" });
      return true;
    } catch {
      return false;
    }
  }

  #tellTaken(refused: string | undefined): Promise<void> {
    return this.#say({ step: "taken", ...(refused !== undefined && { refused }) });
  }

  /** Settles when the other process has let go of all, or is gone, or has taken its time. */
  async leave(): Promise<void> {
    const said = await within(PATIENCE, this.#parcel.receive().catch(() => undefined));
    said?.[Symbol.dispose]();
    await this.#close();
  }

  /** Says why this process does not take over. Never rejects. */
  async refuse(faults: readonly string[]): Promise<void> {
    await this.#say({ step: "faults", faults: [...faults] }).catch(() => {}); // nobody wants to know
    await this.#close();
  }

  #say(message: FromNew): Promise<void> {
    return this.#parcel.send(message as unknown as PlainData);
  }

  /** `step`: what is waited for. */
  async #receive(step: FromOld["step"]): Promise<Message> {
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

async function refusalOf(take: () => Promise<void> | void): Promise<string | undefined> {
  try {
    await take();
    return undefined;
  } catch (error) {
    return reasonOf(error);
  }
}
