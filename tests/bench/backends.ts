import { type Link, writeAll } from "../../lib/link/link.ts";
import { Backend, echo, readToEnd } from "../helpers/backend.ts";

/** Sends as fast as it is taken. */
async function source(link: Link): Promise<void> {
  const bytes = new Uint8Array(256 * 1024);
  for (;;) await writeAll(link, bytes);
}

/** Takes what comes, and forgets it. */
async function sink(link: Link): Promise<void> {
  const buffer = new Uint8Array(256 * 1024);
  while (await link.read(buffer) !== null);
}

/** The backends of a load, in the process that this is the entry of; their addresses are its first line of output. */
if (import.meta.main) {
  const addresses = [echo, source, sink].map((serve) => new Backend().serve(serve).address);
  console.log(JSON.stringify(addresses));
  // They end with whoever started them.
  await readToEnd({ read: (buffer) => Deno.stdin.read(buffer) });
  Deno.exit();
}
