/**
 * Prints as JSON which engine is had, and why not the first, after it has carried some bytes. `deno run -A refusing_child.ts ERRNO USER`:
 * io_uring is refused with that error, 0: it is not; the user is `root` or `stranger`.
 */
import { openEngine } from "../../lib/link/engine/open_engine.ts";
import { writeAll } from "../../lib/link/link.ts";
import { accepted } from "./accepted.ts";
import { readExactly } from "./backend.ts";
import { assertSameBytes } from "./bytes.ts";
import { pattern } from "./random.ts";
import { asStranger } from "./raw_socket.ts";
import { refuseCall } from "./seccomp.ts";

const IO_URING_SETUP = 425; // on x86_64 and aarch64

async function tryOut(): Promise<void> {
  const { engine, why } = openEngine("auto");
  const [client, near] = await accepted(engine);
  for (const size of [10, 100_000]) {
    await Promise.all([writeAll(client, pattern(0, size)), writeAll(near, pattern(1, size))]);
    assertSameBytes(await readExactly(near, size), pattern(0, size));
    assertSameBytes(await readExactly(client, size), pattern(1, size));
  }
  client.close();
  near.close();
  await engine.close();
  console.log(JSON.stringify({ name: engine.name, why }));
}

const [errno, user] = Deno.args;
if (Number(errno) > 0) refuseCall(IO_URING_SETUP, Number(errno));
if (user === "stranger") await asStranger(tryOut);
else await tryOut();
Deno.exit(0);
