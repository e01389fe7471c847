import assert from "node:assert/strict";
import { Outgoing, type OutgoingSnapshot } from "../../lib/scp/v2/outgoing.ts";
import { concat } from "./bytes.ts";
import { pattern } from "./random.ts";

/** What goes out over a link that has taken nothing yet. */
export function attached({ cacheSize = 65536, peerWindow = 65536 } = {}): Outgoing {
  const outgoing = new Outgoing(cacheSize, peerWindow);
  outgoing.attach(0, new Uint8Array(0));
  return outgoing;
}

/** What goes out when the stream has come so far, all of it acknowledged. */
export function outgoingAt(position: number): OutgoingSnapshot {
  const nothing = new Uint8Array(0);
  return {
    ...{ sent: position, acked: position, base: position, finish: "none", frames: nothing, written: 0 },
    toSay: { ack: undefined, pong: undefined, ping: undefined, move: undefined },
    saying: nothing,
  };
}

/** Sends the next bytes of the stream. */
export function send(outgoing: Outgoing, count: number): void {
  outgoing.send(pattern(outgoing.sent, count));
}

/** The link takes so many bytes, from however many views. */
export function take(outgoing: Outgoing, count: number): Uint8Array<ArrayBuffer> {
  const parts: Uint8Array[] = [];
  for (let left = count; left > 0;) {
    const part = outgoing.wire.slice(0, left);
    assert(part.length > 0, "there is nothing more");
    outgoing.wrote(part.length);
    parts.push(part);
    left -= part.length;
  }
  return concat(parts);
}
