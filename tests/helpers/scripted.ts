import { readRecord, writeAll } from "../../lib/link/link.ts";
import { Backend, readToEnd } from "./backend.ts";
import { record } from "./raw_client.ts";

/** An SCP server that answers each connection's record with the next of these, and closes it; without one left it only closes. */
export function scripted(...answers: string[]): Backend {
  return new Backend().serve(async (link) => {
    await readRecord(link);
    const answer = answers.shift();
    if (answer !== undefined) await writeAll(link, record(answer));
    // Closed in order: a connection closed with bytes unread would be reset.
    await link.closeWrite();
    await readToEnd(link);
  });
}
