import { type Link, readRecord, writeAll } from "../../lib/link/link.ts";
import { joinLinks } from "../../lib/link/relay.ts";
import { Backend, readToEnd } from "./backend.ts";
import { record, tcp } from "./raw_client.ts";

/** Relays to an SCP server. Of the first connection nothing comes through after the handshake, and neither end is told. */
export function swallowingRelay(to: string): Backend {
  let connections = 0;
  return new Backend().serve(async (near) => {
    const isFirst = connections++ === 0;
    const far = await tcp(to);
    try {
      await (isFirst ? swallow(near, far) : joinLinks(near, far));
    } finally {
      far.close();
    }
  });
}

async function swallow(near: Link, far: Link): Promise<void> {
  await writeAll(far, record((await readRecord(near))!.content));
  await writeAll(near, record((await readRecord(far))!.content));
  await readToEnd(near);
}
