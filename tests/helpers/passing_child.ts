/**
 * The other end of a socket for descriptors, in a process of its own: `deno run -A passing_child.ts SCENE PATH` connects there.
 * `serve` takes a listening socket, and answers its first client with the bytes that came with it; `leave` sends something, and goes
 * without a word.
 */
import { EpollPoller } from "../../lib/link/engine/epoll/epoll_poller.ts";
import { DescriptorSocket } from "../../lib/link/engine/passing/descriptor_socket.ts";
import { System } from "../../lib/link/engine/system.ts";
import { turn } from "./turns.ts";

const system = System.open();
const [scene, path] = Deno.args as ["serve" | "leave", string];
const socket = DescriptorSocket.connect(new EpollPoller(system), path);
if (scene === "leave") {
  await socket.write(Uint8Array.of(1));
  Deno.exit(0);
}
const { bytes, descriptors } = await socket.read();
await socket.write(Uint8Array.of(1)); // it has it
let client = -1;
while (client < 0) {
  await turn();
  client = system.accept(descriptors[0]!, new Uint8Array(128));
}
system.send(client, bytes);
system.shutdownWrite(client);
Deno.exit(0);
