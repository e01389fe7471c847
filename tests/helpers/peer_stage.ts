import assert from "node:assert/strict";
import type { EngineName } from "../../lib/config/engines.ts";
import type { SocketLink } from "../../lib/link/engine/engine.ts";
import { type Endpoint, type Link, readRecord } from "../../lib/link/link.ts";
import type { PeerIdentity } from "../../lib/proxy/cluster/nodes/hello_forms.ts";
import { dialPeer, type DialPeerOptions, greet, type GreetOptions } from "../../lib/proxy/cluster/nodes/peer_door.ts";
import type { Greeted, PeerConnection, PeerOptions } from "../../lib/proxy/cluster/nodes/peer_door.ts";
import { PeerError, type PeerFault } from "../../lib/proxy/cluster/nodes/peer_error.ts";
import { Stage } from "./engine_pair.ts";

/** What all peers have in the tests. */
export const PEER_OPTIONS: PeerOptions = { name: "game", slots: 64, threads: 16, secrets: ["a secret"] };

/** A node of slot 3, in its epoch 7. */
export const NODE: PeerIdentity = { instance: "node-3", slot: 3, epoch: 7, role: "node" };
export const EDGE: PeerIdentity = { instance: "edge-1", role: "edge" };

/** How that node greets, unless a test says otherwise. */
export function greeting(change: Partial<GreetOptions> = {}): GreetOptions {
  return {
    options: PEER_OPTIONS,
    identity: () => NODE,
    owns: (slot, epoch) => slot === 3 && (epoch === undefined || epoch === 7),
    timeout: 20_000,
    ...change,
  };
}

/** What comes of one connection at each end: what is made of it, or the error. */
export interface Meeting {
  dialled: PeerConnection | PeerError;
  greeted: Greeted | PeerError;
}

/** Where peers meet: the node of the tests, and those that dial it. It closes every connection at the end. */
export class PeerStage implements AsyncDisposable {
  readonly stage: Stage;
  readonly #dialled: PeerConnection[] = [];

  constructor(name: EngineName) {
    this.stage = Stage.open(name);
  }

  get addr(): Endpoint {
    assert(this.stage.address.kind === "tcp");
    return { hostname: this.stage.address.hostname, port: this.stage.address.port };
  }

  /** Dials the node, unless told otherwise as an edge that has a client's connection for it. */
  async dial(change: Partial<DialPeerOptions> = {}): Promise<PeerConnection> {
    const peer = await dialPeer({
      addr: this.addr,
      to: { slot: 3, epoch: 7 },
      kind: "carry",
      options: PEER_OPTIONS,
      identity: () => EDGE,
      engine: this.stage.engine,
      timeout: 20_000,
      ...change,
    });
    this.#dialled.push(peer);
    return peer;
  }

  /** The next connection that was made to the node. */
  accept(): Promise<SocketLink> {
    return this.stage.accept();
  }

  /** Has a peer dial the node, which greets it. */
  async meet(dial: Partial<DialPeerOptions> = {}, greets: Partial<GreetOptions> = {}): Promise<Meeting> {
    const orError = (error: unknown) => {
      if (error instanceof PeerError) return error;
      throw error;
    };
    const [dialled, greeted] = await Promise.all([
      this.dial(dial).catch(orError),
      this.accept().then((link) => greet(link, greeting(greets))).catch(orError),
    ]);
    return { dialled, greeted };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const { link } of this.#dialled) link.close();
    await this.stage[Symbol.asyncDispose]();
  }
}

/** The two ends of a connection that was made. */
export function met({ dialled, greeted }: Meeting): { dialled: PeerConnection; greeted: Greeted } {
  if (dialled instanceof Error) throw dialled;
  if (greeted instanceof Error) throw greeted;
  return { dialled, greeted };
}

/** Fails unless it was refused so at both ends. */
export function assertRefused({ dialled, greeted }: Meeting, kind: PeerFault, reason: RegExp): void {
  for (const error of [dialled, greeted]) assertFault(error, kind, reason);
}

export function assertFault(error: unknown, kind: PeerFault, reason: RegExp): void {
  assert(error instanceof PeerError, `it is no PeerError: ${error}`);
  assert.match(error.message, reason);
  assert.equal(error.kind, kind, error.message);
}

/** What a promise rejects with. */
export function errorOf(promise: Promise<unknown>): Promise<unknown> {
  return promise.then(() => undefined, (error: unknown) => error);
}

/** Reads the content of the next record, and nothing comes with it. */
export async function contentOf(link: Link): Promise<string> {
  const read = await readRecord(link);
  assert(read && read.rest.length === 0);
  return read.content;
}

/** What is done with it is done with `link`, unless a test says otherwise. */
export function forwarding(link: SocketLink): SocketLink {
  return {
    onClose: undefined,
    read: (buffer: Uint8Array) => link.read(buffer),
    write: (bytes: Uint8Array) => link.write(bytes),
    closeWrite: () => link.closeWrite(),
    close: () => link.close(),
    reset: () => link.reset(),
  };
}

/** Runs a test with a stage of its own, over each of those engines. */
export function testPeers(names: readonly EngineName[], what: string, run: (stage: PeerStage) => Promise<void>): void {
  for (const name of names) {
    Deno.test(`${what}, over ${name}`, async () => {
      await using stage = new PeerStage(name);
      await run(stage);
    });
  }
}
