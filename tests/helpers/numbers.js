/**
 * Streams of numbers, 4 bytes each: one that is lost, doubled or moved shows. For every runtime that the client runs in.
 */

/** The bytes of so many numbers from `from`. */
function bytesOf(from, count) {
  const view = new DataView(new ArrayBuffer(4 * count));
  for (let i = 0; i < count; i++) view.setUint32(4 * i, from + i);
  return new Uint8Array(view.buffer);
}

/** Gives `write` all numbers from `from`, below `total`, in pieces of every length. */
export async function sendNumbers(write, total, from = 0) {
  for (let at = from; at < total;) {
    const count = Math.min(1 + (at * 7) % 3000, total - at);
    await write(bytesOf(at, count));
    at += count;
  }
}

/** Takes the bytes of the numbers from 0 on, in any pieces. */
export class NumberCheck {
  #rest = [];
  /** How many have come, one after another. */
  count = 0;

  /** Throws at the first that is not the next. */
  take(bytes) {
    for (const byte of bytes) {
      this.#rest.push(byte);
      if (this.#rest.length < 4) continue;
      const number = new DataView(Uint8Array.from(this.#rest).buffer).getUint32(0);
      this.#rest.length = 0;
      if (number !== this.count) throw new Error(`number ${number} came, where ${this.count} was due`);
      this.count++;
    }
  }
}

/**
 * Sends all numbers below `total`, and meanwhile takes and checks as many and one more: the other end sends that one once it has
 * them all. How many came, and how often the connection resumed.
 */
export async function exchangeNumbers(connection, total, onProgress = () => {}) {
  let resumes = 0;
  connection.addEventListener("resumed", () => resumes++);
  const writer = connection.writable.getWriter();
  const sending = sendNumbers((bytes) => writer.write(bytes), total);
  const check = new NumberCheck();
  const reader = connection.readable.getReader();
  while (check.count <= total) {
    const { value, done } = await reader.read();
    if (done) throw new Error(`the stream ended after ${check.count} of ${total} numbers`);
    check.take(value);
    await onProgress(check.count);
  }
  await sending;
  return { received: check.count - 1, resumes };
}
