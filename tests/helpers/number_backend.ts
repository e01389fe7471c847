import { type Link, writeAll } from "../../lib/link/link.ts";
import { Backend } from "./backend.ts";
import { NumberCheck, sendNumbers } from "./numbers.js";

/** The other end of `exchangeNumbers`, for one client. */
export class NumberBackend extends Backend {
  /** How many numbers it got, once it has them all; rejects at the first that is wrong. */
  readonly received: Promise<number>;

  constructor(total: number) {
    super();
    this.received = this.accept().then((link) => exchange(link, total));
    this.received.catch(() => {}); // for who asks
  }
}

async function exchange(link: Link, total: number): Promise<number> {
  const write = (bytes: Uint8Array) => writeAll(link, bytes);
  const sending = sendNumbers(write, total);
  const check = new NumberCheck();
  const buffer = new Uint8Array(16 * 1024);
  while (check.count < total) {
    const n = await link.read(buffer);
    if (n === null) throw new Error(`the client was gone after ${check.count} of ${total} numbers`);
    check.take(buffer.subarray(0, n));
  }
  await sending;
  await sendNumbers(write, total + 1, total);
  return check.count;
}
