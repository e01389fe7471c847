/**
 * A process that takes over from another one, without a proxy: `deno run -A successor_child.ts HOW`. Of each session it takes it writes
 * its key to the descriptor: `take` takes all, `refuse` the second not, `crash` ends at the third, which it has not touched; `hang` and
 * `gone` take all, and then never say so, or end; `stall` never comes to the end of taking. What else there is to be told goes to the
 * first descriptor of the first listener.
 */
import { type Heir, Inheritance } from "../../lib/admin/upgrade/inheritance.ts";
import { System } from "../../lib/link/engine/system.ts";

const [how] = Deno.args as ["take" | "refuse" | "crash" | "hang" | "gone" | "stall"];
const inheritance = (await Inheritance.open("1.2.3"))!;
const { listen: [first, second] } = await inheritance.listeners({
  listen: [{ hostname: "0.0.0.0", port: 0 }, { hostname: "nobody.example", port: 1 }] as never,
});
const system = System.open();
const tell = (fd: number, text: string) => system.send(fd, new TextEncoder().encode(text));
const [fd] = first!.descriptors as [number];
tell(fd, `${inheritance.from} ${first!.hadPort} ${first!.descriptors.length} ${second}\n`);
tell(fd, `${await inheritance.ready()}\n`);
let count = 0;
const heir: Heir = {
  assertMovable: (session) => {
    if (session === "all") {
      if (how === "gone") Deno.exit(8);
      if (how === "hang") { for (;;) Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0); }
      return;
    }
    count++;
    if (how === "crash" && count === 3) Deno.exit(7);
    if (how === "refuse" && count === 2) throw new Error("no room");
  },
  take: (session, [fd]) => {
    if (session === "all") return;
    tell(fd!, `${(session as { key: bigint }).key}\n`);
    system.close(fd!);
    if (how === "stall") return new Promise(() => {});
  },
  hearDatagrams: (cookie, came) => tell(fd, `${cookie} ${came.map(({ peer, datagram }) => [...peer, ...datagram])}\n`),
  onLost: () => {},
};
const isWhole = await inheritance.takeSessions(heir);
tell(fd, `${isWhole && inheritance.record?.done}\n`);
await inheritance.leave(heir);
tell(fd, "left\n");
Deno.exit(0);
