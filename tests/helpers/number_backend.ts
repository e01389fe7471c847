import { Condition } from "../../lib/link/condition.ts";
import { type Link, writeAll } from "../../lib/link/link.ts";
import { Backend } from "./backend.ts";
import { turn } from "./turns.ts";
import { NumberCheck, sendEnd, sendNumbers } from "./numbers.js";

/** The other end of `exchangeNumbers`, for one client: it sends so many numbers, or as many as it gets. */
export class NumberBackend extends Backend {
  /** How many numbers went each way, once the client has sent all of its own; rejects at the first that is wrong. */
  readonly outcome: Promise<{ sent: number; received: number }>;

  constructor(total?: number) {
    super();
    this.outcome = this.accept().then((link) =>
      exchange(link, total).catch((error) => {
        link.close(); // the client is not to wait for more
        throw error;
      })
    );
    this.outcome.catch(() => {}); // for who asks
  }
}

async function exchange(link: Link, total?: number): Promise<{ sent: number; received: number }> {
  const check = new NumberCheck();
  const changed = new Condition();
  let sent = 0;
  const write = async (bytes: Uint8Array) => {
    await writeAll(link, bytes);
    await turn(); // others in this process have to go on
    sent += bytes.length / 4;
    while (total === undefined && sent > check.count && !check.ended) await changed.wait();
  };
  const sending = sendNumbers(write, (sent: number) => total === undefined ? check.ended : sent > total);
  sending.catch(() => {}); // the reader tells
  const buffer = new Uint8Array(64 * 1024);
  while (!check.ended) {
    const n = await link.read(buffer);
    if (n === null) throw new Error(`the client was gone after ${check.count} numbers`);
    check.take(buffer.subarray(0, n));
    changed.notify();
  }
  await sending;
  await sendEnd((bytes: Uint8Array) => writeAll(link, bytes));
  return { sent, received: check.count };
}
