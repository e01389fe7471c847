import { Descriptors } from "../../link/engine/passing/descriptors.ts";
import { isPassable as isPassableListening, type Listening } from "../../link/engine/engine.ts";
import { type Endpoint, reasonOf } from "../../link/link.ts";
import type { Log } from "../../log.ts";
import {
  isReplaceable,
  type MovedOut,
  type PassedListener,
  type ReplaceableDataPlane,
} from "../../proxy/data_plane.ts";
import type { Plane } from "../../proxy/cluster/cluster_plane.ts";
import type { HttpServer } from "../manager/http_server.ts";
import { clusterIdentity } from "../cluster_identity.ts";
import type { Reloader } from "../reload.ts";
import type { ServiceNotifier } from "../sd_notify.ts";
import type { Invocation } from "./invocation.ts";
import { obstacleTo } from "./obstacle.ts";
import { Passed } from "./passed.ts";
import type { PlainData } from "../../link/engine/passing/plain_data.ts";
import { LATEST, UpgradeFailed } from "./steps.ts";
import { Successor } from "./successor.ts";
import { type DoneUpgrade, NO_UPGRADES, type UpgradeRecord } from "./upgrade_record.ts";

/** Milliseconds for handshakes that are under way; and between two looks at them. */
const HANDSHAKES = 1000;
const LOOK = 10;

/** The process that has taken over, and how that went: see `DoneUpgrade`. */
export interface UpgradeDone {
  pid: number;
  took_ms: number;
  sessions: number;
  p50_ms: number;
  p99_ms: number;
  longest_ms: number;
}

/** What an upgrade came to: the process that has taken over, and how that went; or why none has, and this one goes on. */
export type UpgradeResult =
  | ({ ok: true } & UpgradeDone)
  /** `refused`: it was not tried. */
  | { ok: false; refused: boolean; faults: readonly string[] };

export interface UpgraderOptions {
  log: Log;
  /** Of this program. */
  version: string;
  /** `undefined`: that is not known. */
  invocation: Invocation | undefined;
  dataPlane: Plane;
  manager: HttpServer | undefined;
  /** Where that was to listen: a reload changes what the configuration says, and not that. */
  managerAt: Endpoint | undefined;
  reloader: Reloader;
  notifier: ServiceNotifier;
  /** What came of upgrades before; missing: there were none. */
  record?: UpgradeRecord | undefined;
  /** Settles when all has come that a process before has for this one; missing: there was none. */
  inherited?: Promise<void> | undefined;
  /** Another process has taken over: this one is to come to its end. */
  onReplaced: () => void;
}

/** How this process is replaced by another one: one attempt at a time, each whole or not at all. */
export class Upgrader {
  readonly #options: UpgraderOptions;
  #record: UpgradeRecord;
  #successor: Successor | undefined;
  /** Also when one has taken over, which is not to be ended any more. */
  #isTakingOver = false;
  /** The attempt that is under way. */
  #attempt: Promise<UpgradeResult> | undefined;
  /** Settles when this process has let go of all, of which another one is in charge. */
  #leaving: Promise<void> | undefined;
  /** Why no other process may take over any more. */
  #closed: string | undefined;

  constructor(options: UpgraderOptions) {
    this.#options = options;
    this.#record = options.record ?? NO_UPGRADES;
  }

  /** What came of all upgrades, of processes before this one as well. */
  get record(): UpgradeRecord {
    return this.#record;
  }

  /** Whether another process has taken over; while one is about to, when that is known. Never rejects. */
  async isReplaced(): Promise<boolean> {
    if (this.#isTakingOver) await this.#attempt;
    return this.#isTakingOver;
  }

  /** Has another process take over; with any fault this one goes on as if nothing had been asked. Logs what came of it. Never rejects. */
  async upgrade(): Promise<UpgradeResult> {
    const { log, reloader, dataPlane, invocation } = this.#options;
    const obstacle = this.#closed ?? (this.#attempt && "an upgrade is under way") ??
      obstacleTo({ io: dataPlane.engine.name, invocation });
    if (obstacle !== undefined) {
      log.error("upgrade refused", { reason: obstacle });
      return { ok: false, refused: true, faults: [obstacle] };
    }
    // A reload would change what is being passed.
    this.#attempt = reloader.exclusively(() => this.#try());
    return await this.#attempt.finally(() => this.#attempt = undefined);
  }

  /**
   * This process is to come to its end, for that reason: a successor that has not begun to take over is ended, one that has is waited for.
   */
  async close(reason: string): Promise<void> {
    this.#closed ??= reason;
    if (this.#isTakingOver) {
      await this.#attempt;
      await this.#leaving;
    } else await this.#successor?.abandon(reason);
  }

  async #try(): Promise<UpgradeResult> {
    const { log, notifier } = this.#options;
    notifier.reloading();
    try {
      const { pid, took, sessions, standStill: { p50, p99, longest } } = await this.#replace();
      const [p50_ms, p99_ms, longest_ms] = [p50, p99, longest].map(Math.ceil) as [number, number, number];
      const result = { pid, took_ms: Math.round(took), sessions, p50_ms, p99_ms, longest_ms };
      log.info("upgraded", result);
      return { ok: true, ...result };
    } catch (error) {
      this.#record = { ...this.#record, failed: this.#record.failed + 1 };
      const faults = faultsOf(error);
      for (const fault of faults) log.error("not upgraded", { reason: fault });
      notifier.ready(`not upgraded: ${faults[0]}`);
      return { ok: false, refused: false, faults };
    }
  }

  async #replace(): Promise<DoneUpgrade & { pid: number }> {
    const { log, version, invocation, reloader: { config } } = this.#options;
    await this.#options.inherited;
    if (this.#closed !== undefined) throw new UpgradeFailed([this.#closed]);
    const begun = performance.now();
    const { node } = this.#dataPlane;
    const cluster = config.cluster && { identity: clusterIdentity(config), node };
    const successor = new Successor({ invocation: invocation!, timeout: config.upgradeTimeout, version, cluster, log });
    this.#successor = successor;
    const { pid } = successor;
    log.info("upgrade begun", { pid, command: invocation!.command });
    let done: DoneUpgrade;
    try {
      await successor.begin();
      await this.#giveListeners(successor);
      done = await this.#handOver(successor, begun);
    } catch (error) {
      await successor.abandon("it has been given up");
      throw error;
    } finally {
      this.#successor = undefined;
    }
    await this.#resign(successor);
    this.#leaving = this.#letGo(successor);
    return { pid, ...done };
  }

  /** The new process is the service from now on, whatever goes wrong here. Never rejects. */
  async #resign(successor: Successor): Promise<void> {
    const { reloader, notifier } = this.#options;
    this.#closed = `process ${successor.pid} has taken over from this one`;
    reloader.close(this.#closed);
    await notifier.handOver(successor.pid).catch((error) => this.#notLetGo(error));
  }

  /** Never rejects. */
  async #letGo(successor: Successor): Promise<void> {
    const log = (error: unknown) => this.#notLetGo(error);
    // A client waits nowhere that the new process has closed, and that one can listen there again.
    await this.#setListening("left").catch(log);
    await this.#passLate(successor).catch(log);
    await this.#setListening("off").catch(log);
    await successor.leave().catch(log);
    this.#options.onReplaced();
  }

  #notLetGo(error: unknown): void {
    this.#options.log.error("not all is let go", { reason: reasonOf(error) });
  }

  /** Settles when it has all listeners, and is ready. */
  async #giveListeners(successor: Successor): Promise<void> {
    const { manager, managerAt } = this.#options;
    using own = new Descriptors();
    const passed = await this.#dataPlane.passListeners();
    for (const { descriptors } of passed) descriptors.forEach((fd) => own.add(fd));
    for (const listener of passed) await successor.give(listener.isForPeers ? "cluster" : "proxy", listener);
    if (manager && managerAt) await successor.give("manager", passedBy(manager.listening, managerAt, own));
    await successor.ready();
  }

  /**
   * From here on the new process has what it has been given; when it has all it is not ended any more, whatever it says, or does not say.
   * `begun`: when the upgrade did, by `performance.now()`.
   */
  async #handOver(successor: Successor, begun: number): Promise<DoneUpgrade> {
    if (this.#closed !== undefined) throw new UpgradeFailed([this.#closed]);
    this.#isTakingOver = true;
    const passed = new Passed();
    const done = () => {
      const { sessions, standStill } = passed;
      return { at: Date.now(), took: performance.now() - begun, sessions, standStill };
    };
    try {
      await this.#setListening("paused");
      await successor.takeOver(await this.#dataPlane.sessionIds() as PlainData);
      await this.#handshakesOver();
      await this.#passAll(successor, this.#dataPlane.moveOut(successor), passed);
      passed.hasAll = true;
      const last = done();
      const record = { ...this.#record, done: this.#record.done + 1, last };
      await successor.finish(record);
      this.#record = record;
      return last;
    } catch (error) {
      const reason = reasonOf(error);
      if (passed.hasAll && !await successor.lastWords()) {
        this.#options.log.error("the new process has all, and does not say so", { reason });
        return done();
      }
      // What it has not taken is served here, and it must not be served by both.
      await successor.abandon(reason);
      await this.#setListening("on").finally(() => this.#isTakingOver = false);
      if (passed.sessions === 0) throw error;
      throw new UpgradeFailed([
        ...faultsOf(error),
        `sessions that had gone over, and are lost with it: ${passed.sessions}`,
      ]);
    }
  }

  /** `moving`: what goes, as it goes. */
  async #passAll(successor: Successor, moving: AsyncIterable<MovedOut>, passed: Passed): Promise<void> {
    let isGone = false;
    try {
      for await (const moved of moving) {
        this.#count(moved, passed);
        passed.hasAll ||= moved.isAfterAll === true;
        for (const piece of moved.pieces) await this.#passPiece(successor, piece as PlainData);
        if (moved.still) passed.stoodStill(moved.still.sessions, performance.now() - moved.still.since);
      }
    } catch (error) {
      // It has connections of sessions: those go on here only when it cannot any more.
      isGone = !passed.hasAll;
      const fault = error instanceof UpgradeFailed ? error : await successor.lastWords() ?? error;
      await (isGone ? successor.abandon(reasonOf(error)) : successor.leave());
      throw fault;
    } finally {
      this.#count(await this.#dataPlane.endMoving(isGone), passed);
    }
  }

  #count({ stoodStill, refused, lost }: MovedOut, passed: Passed): void {
    passed.sessions += stoodStill.length + lost;
    for (const time of stoodStill) passed.stoodStill(1, time);
    for (const reason of refused) this.#options.log.warning("session not taken", { reason });
  }

  async #passPiece(successor: Successor, piece: PlainData): Promise<void> {
    const reason = await successor.pass(piece);
    if (reason !== undefined) this.#options.log.warning("not taken", { reason });
  }

  /** Who is in the middle of a handshake has a session soon, which goes along. Never for long. */
  async #handshakesOver(): Promise<void> {
    const until = performance.now() + HANDSHAKES;
    while (await this.#handshakes() > 0 && performance.now() < until) await pause();
  }

  /**
   * Who needs longer for it has a session later, which goes over as soon as it has begun; and who is about to ask the manager something is
   * answered.
   */
  async #passLate(successor: Successor): Promise<void> {
    await successor.late();
    const { handshakeTimeout } = this.#options.reloader.config.scp;
    const until = performance.now() + Math.min(handshakeTimeout || LATEST, LATEST);
    const passed = new Passed();
    passed.hasAll = true;
    for (;;) {
      const handshakes = await this.#handshakes(); // and then what has come of those before
      await this.#passAll(successor, this.#dataPlane.moveLate(successor), passed);
      const isAwaited = handshakes > 0 || (this.#options.manager?.asking ?? 0) > 0;
      if (!isAwaited || performance.now() >= until) break;
      await pause();
    }
    const { sessions } = passed;
    if (sessions > 0) this.#options.log.info("upgraded late", { sessions });
  }

  async #handshakes(): Promise<number> {
    return (await this.#dataPlane.snapshot()).gauges.handshakes;
  }

  async #setListening(state: "on" | "paused" | "left" | "off"): Promise<void> {
    const { manager } = this.#options;
    // Until then whoever probes this process is answered, and others wait for what comes of the upgrade.
    if (manager && state === "left" && isPassableListening(manager.listening)) manager.listening.pause();
    if (state === "off") await manager?.listening.close();
    await this.#dataPlane.setListening(state);
  }

  get #dataPlane(): ReplaceableDataPlane {
    const { dataPlane } = this.#options;
    if (isReplaceable(dataPlane)) return dataPlane;
    throw new UpgradeFailed(["what this process has cannot be passed"]);
  }
}

function faultsOf(error: unknown): readonly string[] {
  return error instanceof UpgradeFailed ? error.faults : [reasonOf(error)];
}

function pause(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, LOOK));
}

/** By what another process goes on listening; the descriptor belongs to `owner`. */
function passedBy(
  listening: Listening,
  { hostname, port }: Endpoint,
  owner: Descriptors,
): PassedListener {
  if (!isPassableListening(listening)) {
    throw new UpgradeFailed(["the manager's socket is had by Deno, which passes none"]);
  }
  return { hostname, port, hadPort: listening.address.port, descriptors: [owner.add(listening.duplicate())] };
}
