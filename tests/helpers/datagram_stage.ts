import assert from "node:assert/strict";
import type { EngineName } from "../../lib/config/engines.ts";
import type { Engine } from "../../lib/link/engine/engine.ts";
import type {
  BindOptions,
  ConnectedDatagrams,
  DatagramPeer,
  DatagramSocket,
  PassableDatagrams,
} from "../../lib/link/engine/udp/datagrams.ts";
import type { Endpoint } from "../../lib/link/link.ts";
import { engineOf } from "./engine.ts";
import { ownDescriptors } from "./own_descriptors.ts";
import { until } from "./turns.ts";

/** A socket, and what it heard. */
export class Ear<T extends DatagramSocket = DatagramSocket> {
  readonly socket: T;
  readonly heard: { text: string; peer: DatagramPeer }[] = [];
  rounds = 0;

  constructor(socket: T) {
    this.socket = socket;
    socket.onDatagram = (bytes, peer) => this.heard.push({ text: textOf(bytes), peer });
    socket.onRound = () => this.rounds++;
  }

  /** Of an engine of the system's. */
  get passable(): PassableDatagrams {
    return this.socket as unknown as PassableDatagrams;
  }

  get texts(): string[] {
    return this.heard.map(({ text }) => text);
  }

  /** Waits until it has heard so many in all. */
  async until(count: number): Promise<void> {
    await until(() => this.heard.length >= count, () => `${this.heard.length} datagrams came, not ${count}`);
  }
}

/** An engine, whose sockets it closes at the end: then it looks whether no descriptor is left. */
export class DatagramStage implements AsyncDisposable {
  readonly engine: Engine;
  readonly #sockets: DatagramSocket[] = [];
  readonly #others: Engine[] = [];
  readonly #before = ownDescriptors();

  constructor(name: EngineName) {
    this.engine = engineOf(name);
  }

  async bind(hostname = "127.0.0.1", options: Partial<BindOptions & { port: number }> = {}): Promise<Ear> {
    const { port = 0, ...rest } = options;
    return this.#keep(await this.engine.bindDatagrams({ hostname, port }, { isShared: false, ...rest }));
  }

  /** By another engine of its own. Owns the descriptor. */
  adopt(fd: number, name: EngineName, use: "read" | "send"): Ear {
    const engine = engineOf(name);
    this.#others.push(engine);
    return this.#keep(engine.adoptDatagrams!(fd, "as it was", { use }));
  }

  async connect(to: Endpoint): Promise<Ear<ConnectedDatagrams>> {
    return this.#keep(await this.engine.connectDatagrams(to, {}));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const socket of this.#sockets) await socket.close();
    for (const engine of [this.engine, ...this.#others]) await engine.close();
    assert.deepEqual([...ownDescriptors().keys()].sort(), [...this.#before.keys()].sort(), "descriptors");
  }

  #keep<T extends DatagramSocket>(socket: T): Ear<T> {
    this.#sockets.push(socket);
    return new Ear(socket);
  }
}

/** A datagram of that text. */
export function datagram(text: string): Uint8Array<ArrayBuffer> {
  return Uint8Array.from(text, (char) => char.charCodeAt(0));
}

/** Of one that is of no text, a character a byte all the same. */
export function textOf(bytes: Uint8Array): string {
  return String.fromCharCode(...bytes);
}

/** A socket of Deno's own, for the other end. */
export class Outsider implements Disposable {
  readonly #conn: Deno.DatagramConn;

  constructor(hostname = "127.0.0.1") {
    this.#conn = Deno.listenDatagram({ transport: "udp", hostname, port: 0 });
  }

  get address(): Endpoint {
    const { hostname, port } = this.#conn.addr as Deno.NetAddr;
    return { hostname, port };
  }

  async send(text: string, to: Endpoint): Promise<void> {
    await this.#conn.send(datagram(text), { transport: "udp", ...to });
  }

  async receive(): Promise<{ text: string; from: Endpoint }> {
    const [bytes, from] = await this.#conn.receive(new Uint8Array(4096));
    const { hostname, port } = from as Deno.NetAddr;
    return { text: textOf(bytes), from: { hostname, port } };
  }

  [Symbol.dispose](): void {
    this.#conn.close();
  }
}
