import { EpollPoller } from "../../lib/link/engine/epoll/epoll_poller.ts";
import { DescriptorSocket } from "../../lib/link/engine/passing/descriptor_socket.ts";
import { System } from "../../lib/link/engine/system.ts";
import { Lane, type Outcome } from "../../lib/proxy/cluster/threads/moving/lane.ts";
import type { Packed } from "../../lib/proxy/session/move/packed.ts";

/** A lane, and by what it waits. */
export class TestLane {
  readonly lane: Lane;
  readonly #poller = new EpollPoller(System.open());

  /** Owns the descriptor. */
  constructor(fd: number) {
    this.lane = new Lane(new DescriptorSocket(this.#poller, fd));
  }

  pass(session: Packed): Promise<Outcome> {
    return this.lane.pass(session, System.open().now());
  }

  /** See `Lane.end`. */
  async end(isGone: boolean): Promise<Packed[]> {
    const left = await this.lane.end(isGone);
    await this.#poller.stop();
    return left;
  }
}

/** Something that goes over a lane as a session does, with descriptors that the lane owns. */
export function packedOf(data: unknown, descriptors: number[], done = () => {}): Packed {
  return { data: data as Packed["data"], descriptors, done };
}
