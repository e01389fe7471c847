import assert from "node:assert/strict";
import { acceptAll } from "../../lib/link/accept.ts";
import { joinLinks } from "../../lib/link/relay.ts";
import { System } from "../../lib/link/engine/system.ts";
import { TcpLink } from "../../lib/link/tcp.ts";
import type { Destination, MovedOut, ReplaceableDataPlane } from "../../lib/proxy/data_plane.ts";
import { FORMAT, type MovedEnd } from "../../lib/proxy/session/move/moved.ts";
import type { Packed } from "../../lib/proxy/session/move/packed.ts";
import type { TestProxy } from "./proxy.ts";
import { tcp } from "./raw_client.ts";

/** All sessions have come. */
export const END: MovedEnd = { format: FORMAT, kind: "end" };

/** All sessions of one proxy go to another, each as soon as it can: as plain data and descriptors. Gives how many did. */
export async function moveAll(from: TestProxy, to: TestProxy): Promise<number> {
  let [moved, parts] = [0, 0];
  for await (const pieces of from.proxy.moveOut()) {
    if (pieces.length === 0 && ++parts === 2) to.proxy.moveIn(END, []);
    give(to, pieces);
    moved += pieces.filter(({ data }) => "snapshot" in data).length;
  }
  return moved;
}

/** Gives pieces to a proxy. */
export function give(to: TestProxy, pieces: readonly Packed[]): void {
  for (const { data, descriptors, done } of pieces) {
    to.proxy.moveIn(structuredClone(data), descriptors);
    done();
  }
}

/** A data plane as the destination of what another one has. */
export function destinationOf(to: ReplaceableDataPlane): Destination {
  return {
    layout: to.layout,
    openLane: (thread) => {
      const [near, far] = System.open().socketPair();
      to.takeSessions(thread, far);
      return Promise.resolve(near);
    },
    onDatagrams: (cookie, came) => to.hearDatagrams(cookie, came),
  };
}

/** All that one data plane has goes to the other, as between processes. Gives what went last. */
export async function movePlane(from: ReplaceableDataPlane, to: ReplaceableDataPlane): Promise<unknown> {
  const pieces = await takeAll(from.moveOut(destinationOf(to)), to);
  await from.endMoving(false);
  return pieces.at(-1);
}

/** What goes, in its order, which a data plane takes. */
export async function takeAll(moving: AsyncIterable<MovedOut>, to: ReplaceableDataPlane): Promise<unknown[]> {
  const all: unknown[] = [];
  for await (const { pieces, refused } of moving) {
    assert.deepEqual(refused, []);
    for (const piece of pieces) await to.moveIn(structuredClone(piece), []);
    all.push(...pieces);
  }
  return all;
}

/** Where clients connect to, whichever proxy it is that has their sessions. */
export class Switchboard implements AsyncDisposable {
  /** Where connections go that come from now on. */
  to: string;
  readonly #listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  readonly #closing = new AbortController();
  readonly #links = new Set<TcpLink>();
  readonly #accepting: Promise<void>;

  constructor(to: string) {
    this.to = to;
    this.#accepting = acceptAll(this.#listener, {
      onConnection: (conn) => void this.#serve(new TcpLink(conn, { keepAlive: false })),
      onFailure: () => {},
      signal: this.#closing.signal,
    });
  }

  get address(): string {
    return `127.0.0.1:${this.#listener.addr.port}`;
  }

  async #serve(near: TcpLink): Promise<void> {
    this.#links.add(near);
    try {
      await joinLinks(near, await tcp(this.to));
    } finally {
      near.close();
      this.#links.delete(near);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closing.abort();
    this.#listener.close();
    for (const link of this.#links) link.close();
    await this.#accepting;
  }
}
