import { dirname, join } from "node:path";
import { EpollPoller } from "../../link/engine/epoll/epoll_poller.ts";
import { DescriptorListening, DescriptorSocket } from "../../link/engine/passing/descriptor_socket.ts";
import { System } from "../../link/engine/system.ts";
import { Parcel } from "../../link/engine/passing/parcel.ts";

/** Where another process of the same user comes in: a Unix socket in a directory that is that user's alone. */
export class Door {
  readonly path: string;
  readonly #dir: string;
  readonly #poller: EpollPoller;
  readonly #listening: DescriptorListening;
  readonly #parcels: Parcel[] = [];
  readonly #onStranger: (user: number) => void;

  /** Throws when there can be none. `onStranger` hears of each that was sent away, by the number of its user. */
  constructor(onStranger: (user: number) => void) {
    this.#onStranger = onStranger;
    this.#dir = Deno.makeTempDirSync({ prefix: "goscon-" }); // 0700
    this.path = join(this.#dir, "upgrade.sock");
    this.#poller = openPoller();
    try {
      this.#listening = DescriptorListening.open(this.#poller, this.path);
    } catch (error) {
      void this.#poller.stop();
      Deno.removeSync(this.#dir, { recursive: true });
      throw error;
    }
  }

  /** The next of the same user that comes, which `close` closes. Rejects when it is closed. */
  async accept(): Promise<Parcel> {
    for (;;) {
      const socket = await this.#listening.accept();
      const { peerUser } = socket;
      if (peerUser === Deno.uid()) {
        const parcel = new Parcel(socket);
        this.#parcels.push(parcel);
        return parcel;
      }
      socket.close();
      this.#onStranger(peerUser);
    }
  }

  /** Settles when nothing is left of it. May be called again. */
  async close(): Promise<void> {
    this.#listening.close();
    for (const parcel of this.#parcels) parcel.close();
    await this.#poller.stop();
    await Deno.remove(this.#dir, { recursive: true }).catch(() => {}); // it is gone, or not ours to remove
  }
}

/** What comes of one goes on to threads, whose answers are awaited. */
function openPoller(): EpollPoller {
  const poller = new EpollPoller(System.open());
  poller.expectsMessages = true;
  return poller;
}

/** A parcel to whoever listens at a path, who must be of the same user; `close` closes it, and the door. Throws when there is nobody. */
export function enter(path: string): { parcel: Parcel; close(): Promise<void> } {
  const poller = openPoller();
  let socket: DescriptorSocket | undefined;
  try {
    socket = DescriptorSocket.connect(poller, path);
    if (socket.peerUser !== Deno.uid()) throw new Error(`${path} is of another user, ${socket.peerUser}`);
  } catch (error) {
    socket?.close();
    void poller.stop();
    throw error;
  }
  const parcel = new Parcel(socket);
  return {
    parcel,
    close: async () => {
      parcel.close();
      await poller.stop();
      // Whoever made these may have been killed.
      for (const left of [path, dirname(path)]) await Deno.remove(left).catch(() => {});
    },
  };
}
