/**
 * A process that takes over from another one, without a proxy: `deno run -A successor_child.ts HOW`. Of each session it takes it writes
 * its key to the descriptor: `take` takes all, `refuse` the second not, `crash` ends at the third, which it has not touched; `hang` and
 * `gone` take all, and then never say so, or end; `stall` takes the first, and never comes to the end of that. Of what is no session it
 * refuses `nothing`. What else there is to be told goes to the first descriptor of the first listener.
 */
import { type Heir, Inheritance } from "../../lib/admin/upgrade/inheritance.ts";
import { EpollPoller } from "../../lib/link/engine/epoll/epoll_poller.ts";
import { DescriptorSocket } from "../../lib/link/engine/passing/descriptor_socket.ts";
import { Parcel } from "../../lib/link/engine/passing/parcel.ts";
import { System } from "../../lib/link/engine/system.ts";
import { type MovingInOptions, takeSessions } from "../../lib/proxy/cluster/threads/moving/moving_in.ts";

const [how] = Deno.args as ["take" | "refuse" | "crash" | "hang" | "gone" | "stall"];
const inheritance = (await Inheritance.open("1.2.3"))!;
const { listen: [first, second] } = await inheritance.listeners({
  listen: [{ hostname: "0.0.0.0", port: 0 }, { hostname: "nobody.example", port: 1 }] as never,
});
const system = System.open();
const poller = new EpollPoller(system);
const tell = (fd: number, text: string) => system.send(fd, new TextEncoder().encode(text));
const [fd] = first!.descriptors as [number];
tell(fd, `${inheritance.from} ${first!.hadPort} ${first!.descriptors.length} ${second}\n`);
tell(fd, `${await inheritance.ready()}\n`);

function stall(): never {
  for (;;) Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0);
}

let count = 0;
const proxy = {
  readMoved: () => {
    count++;
    if (how === "crash" && count === 3) Deno.exit(7);
    if (how === "refuse" && count === 2) throw new Error("no room");
  },
  moveIn: (session: { key: bigint }, [fd]: readonly number[]) => {
    tell(fd!, `${session.key}\n`);
    system.close(fd!);
    if (how === "stall") stall();
  },
} as unknown as MovingInOptions["proxy"];
const heir: Heir = {
  layout: { threadBits: 2, slotBits: 0, epochBits: 0, threads: 3 },
  takeSessions: (_thread, lane) => {
    const parcel = new Parcel(new DescriptorSocket(poller, lane));
    void takeSessions(parcel, { proxy, now: () => system.now(), onLost: () => {} });
  },
  assertMovable: (piece) => {
    if (piece === "nothing") throw new Error("that is nothing");
    if (piece === "all" && how === "gone") Deno.exit(8);
    if (piece === "all" && how === "hang") stall();
  },
  take: (piece) => {
    if (piece !== "all") tell(fd, `${piece}\n`);
  },
  hearDatagrams: (cookie, came) => tell(fd, `${cookie} ${came.map(({ peer, datagram }) => [...peer, ...datagram])}\n`),
  onLost: () => {},
};
const isWhole = await inheritance.takeSessions(heir);
tell(fd, `${isWhole && inheritance.record?.done}\n`);
await inheritance.leave(heir);
tell(fd, "left\n");
Deno.exit(0);
