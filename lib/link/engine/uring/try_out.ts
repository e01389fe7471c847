import { EIO, type System } from "../system.ts";
import { type Buffers, GROUP } from "./buffers.ts";
import { CQE_BUFFER, type Ring } from "./ring.ts";

/** What is sent, and how many milliseconds that may take. */
const TRIAL = 0x5c;
const MOST_WAITS = 1000;

/** Has a byte go from one socket to another by a ring that nothing else uses yet. Throws when it does not. */
export function tryOut(system: System, ring: Ring, buffers: Buffers): void {
  const ends = system.socketPair();
  try {
    const copy = buffers.take();
    buffers.write(copy, 0, Uint8Array.of(TRIAL));
    ring.receive(ends[1], 1, GROUP, 0, 0);
    ring.send(ends[0], buffers.addressOf(copy), 1, 0, 0);
    let came: number | undefined;
    for (let done = 0, waits = 0; done < 2; waits++) {
      if (waits === MOST_WAITS) throw new Error("io_uring does not tell what is done");
      ring.enter(1);
      for (; ring.ready > 0; done++) {
        const { next: at } = ring;
        const [result, flags] = [ring.result(at), ring.flags(at)];
        ring.advance();
        if (result !== 1) throw system.error(result < 0 ? -result : EIO);
        if (!(flags & CQE_BUFFER)) continue;
        came = buffers.filled(flags >>> 16, 1)[0];
        buffers.giveBack(flags >>> 16);
      }
    }
    buffers.free(copy);
    if (came !== TRIAL) throw new Error("io_uring does not bring what was sent");
  } finally {
    for (const fd of ends) system.close(fd);
  }
}
