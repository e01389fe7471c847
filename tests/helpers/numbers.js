/**
 * Streams of numbers, 4 bytes each, from 0 on and closed by a mark: one that is lost, doubled or moved shows. For every
 * runtime that the client runs in.
 */

const END = 2 ** 32 - 1;

/** The bytes of so many numbers from `from`. */
function bytesOf(from, count) {
  const view = new DataView(new ArrayBuffer(4 * count));
  for (let i = 0; i < count; i++) view.setUint32(4 * i, from + i);
  return new Uint8Array(view.buffer);
}

/** Gives `write` numbers, in pieces of every length, until they are `enough`, which may take its time to say. How many they were. */
export async function sendNumbers(write, enough) {
  let sent = 0;
  while (!await enough(sent)) {
    const count = 1 + (sent * 7) % 3000;
    await write(bytesOf(sent, count));
    sent += count;
  }
  return sent;
}

/** Gives `write` the mark. */
export async function sendEnd(write) {
  await write(bytesOf(END, 1));
}

/** Takes the bytes of such a stream, in any pieces. */
export class NumberCheck {
  #rest = [];
  /** How many have come, one after another. */
  count = 0;
  /** Whether the mark has come. */
  ended = false;

  /** Throws at the first number that is not the next. */
  take(bytes) {
    for (const byte of bytes) {
      this.#rest.push(byte);
      if (this.#rest.length === 4) this.#check(new DataView(Uint8Array.from(this.#rest.splice(0)).buffer).getUint32(0));
    }
  }

  #check(number) {
    if (this.ended) throw new Error(`${number} came after the end`);
    if (number === END) this.ended = true;
    else if (number !== this.count) throw new Error(`${number} came, where ${this.count} was due`);
    else this.count++;
  }
}

/**
 * Sends numbers until they are `enough`, and the mark, and takes others until the far end has sent its own mark, as it does
 * once it has all of ours. How many went each way, and how often the connection resumed.
 */
export async function exchangeNumbers(connection, enough, onProgress = () => {}) {
  let resumes = 0;
  connection.addEventListener("resumed", () => resumes++);
  const writer = connection.writable.getWriter();
  const write = (bytes) => writer.write(bytes);
  const send = async () => {
    const sent = await sendNumbers(write, enough);
    await sendEnd(write);
    return sent;
  };
  const sending = send();
  sending.catch(() => {}); // the reader tells
  const check = new NumberCheck();
  const reader = connection.readable.getReader();
  while (!check.ended) {
    const { value, done } = await reader.read();
    if (done) throw new Error(`the stream ended after ${check.count} numbers`);
    check.take(value);
    onProgress(check.count);
  }
  return { sent: await sending, received: check.count, resumes };
}
