import { type Link, readRecord, writeAll } from "../../lib/link/link.ts";
import { Backend } from "./backend.ts";
import { concat } from "./bytes.ts";
import { record, tcp } from "./raw_client.ts";

/** A connection through a relay, as its faults see it. */
export interface Relayed {
  /** The content of the record that the client began with. */
  readonly request: string;
  readonly isResume: boolean;
  /** Sends frames to the client, at once or after some milliseconds. */
  say(frames: Uint8Array, after?: number): void;
}

/** What a relay changes, so that its client sees a server that breaks the protocol. What is missing goes through as it is. */
export interface Faults {
  /** The record of a request must come in one read. */
  readsOnce?: true;
  /** What the server gets for the content of a request. */
  request?: (content: string) => string;
  /** What the client gets for the content of the answer. */
  answer?: (content: string, relayed: Relayed) => string;
  /** What the server gets for what was read from the client. */
  read?: (bytes: Uint8Array, relayed: Relayed) => Uint8Array;
  /** What the server gets for a frame of the client; and the client for one of the server. */
  toServer?: (frame: Uint8Array, relayed: Relayed) => Uint8Array[];
  toClient?: (frame: Uint8Array, relayed: Relayed) => Uint8Array[];
  /** The server has closed: gives whether the client's connection stays open all the same. */
  atEnd?: (relayed: Relayed) => boolean;
}

/** Relays sessions of version 2 to an SCP server, with faults. */
export function frameRelay(to: string, faults: Faults): Backend {
  return new Backend().serve((near) => relay(near, to, faults));
}

async function relay(near: Link, to: string, faults: Faults): Promise<void> {
  const far = await tcp(to);
  let last = Promise.resolve();
  const timers: ReturnType<typeof setTimeout>[] = [];
  const write = (bytes: Uint8Array) => last = last.then(() => writeAll(near, bytes)).catch(() => {});
  try {
    const asked = await readRecord(faults.readsOnce ? once(near) : near);
    if (!asked) return;
    await writeAll(far, record(faults.request?.(asked.content) ?? asked.content));
    const answered = await readRecord(far);
    if (!answered) return;
    const relayed: Relayed = {
      request: asked.content,
      isResume: !asked.content.startsWith("0\n"),
      say: (frames, after) => {
        if (after === undefined) void write(frames);
        else timers.push(setTimeout(() => write(frames), after));
      },
    };
    await write(record(faults.answer?.(answered.content, relayed) ?? answered.content));
    // In a session of version 1 there are no frames.
    const { toServer, toClient } = answered.content.split("\n").length > 2 ? faults : {};
    const send = async (bytes: Uint8Array) => await writeAll(far, faults.read?.(bytes, relayed) ?? bytes);
    const up = carry(near, asked.rest, send, toServer && ((frame) => toServer(frame, relayed)))
      .then(() => far.closeWrite()).catch(() => far.close());
    await carry(far, answered.rest, write, toClient && ((frame) => toClient(frame, relayed))).catch(() => {});
    const staysOpen = faults.atEnd?.(relayed) ?? false;
    if (!staysOpen) await last.then(() => near.closeWrite()).catch(() => {});
    await up;
  } finally {
    for (const timer of timers) clearTimeout(timer);
    far.close();
  }
}

/** Gives on what a link brings, after `rest`: as it comes, or in frames that may be changed. Rejects when either breaks. */
async function carry(
  from: Link,
  rest: Uint8Array,
  send: (bytes: Uint8Array) => Promise<void>,
  change: ((frame: Uint8Array) => Uint8Array[]) | undefined,
): Promise<void> {
  const buffer = new Uint8Array(2 ** 16);
  let held: Uint8Array = rest.slice();
  for (let n: number | null = 0; n !== null; n = await from.read(buffer)) {
    held = concat([held, buffer.slice(0, n)]);
    for (let size = change ? sizeOf(held) : held.length; size > 0 && size <= held.length; size = sizeOf(held)) {
      const frame = held.slice(0, size);
      held = held.slice(size);
      for (const part of change?.(frame) ?? [frame]) await send(part);
      if (!change) break;
    }
  }
  if (held.length > 0) await send(held);
}

/** How many bytes the frame takes that these begin with; `Infinity`: too few have come to tell. What is no frame is all there is. */
function sizeOf(bytes: Uint8Array): number {
  const [type = 0, one, two, three] = bytes;
  if (bytes.length === 0) return 0;
  if (type === 1 || type >= 128) return two === undefined ? Infinity : 3 + (one! << 8 | two);
  if (type <= 4 && type >= 2) return 5;
  if (type === 5) return 1;
  if (type === 6) return three === undefined ? Infinity : 4 + three;
  if (type === 7) return one === undefined ? Infinity : 2 + one;
  return bytes.length;
}

/** A link that ends after its first read. */
function once(link: Link): Link {
  let reads = 0;
  return {
    read: (buffer) => reads++ === 0 ? link.read(buffer) : Promise.resolve(null),
    write: (bytes) => link.write(bytes),
    closeWrite: () => link.closeWrite(),
    close: () => link.close(),
  };
}
