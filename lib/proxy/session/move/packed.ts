import type { MovableFlow, Remains } from "../../../link/flow.ts";
import { joined } from "../../../link/joined.ts";
import { FORMAT, type Moved, type MovedSession } from "./moved.ts";
import type { Parting } from "./parting.ts";

/** What goes from one table to another. */
export interface Packed {
  data: Moved;
  /** Those of the session's connections, which are the taker's: in the order of the data. */
  descriptors: number[];
  /** To be called when the other table has it, or this one has it back: what could not go along is closed, so that its client comes. */
  done: () => void;
}

type Given = { fd: number; remains: Remains } | undefined;

/** Packs a session up that has left. What its connections had under way comes to its end before. */
export async function packed<Kind extends string, Snapshot>(
  kind: Kind,
  { snapshot, client, backend, left }: Parting<Snapshot>,
): Promise<{ data: MovedSession<Kind, Snapshot>; descriptors: number[]; done: () => void }> {
  const [given, ofBackend] = await Promise.all([client && clientOf(client), backend?.giveAway()]);
  return {
    data: { format: FORMAT, kind, snapshot, client: given?.remains, backend: ofBackend?.remains },
    descriptors: [given, ofBackend].flatMap((each) => each ? [each.fd] : []),
    done: () => left?.close(),
  };
}

/** What its stream was told, and has not dealt with, comes before what its flow has not told. */
async function clientOf({ flow, rest }: { flow: MovableFlow; rest: Uint8Array }): Promise<Given> {
  const given = await flow.giveAway();
  if (!given || rest.length === 0) return given;
  const { fd, remains } = given;
  return { fd, remains: { ...remains, came: joined(rest, remains.came) } };
}
