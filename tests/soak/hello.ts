/** What a client sends first, so that the backend knows what to expect of it, and what it expects. */
export interface Hello {
  /** Of the session, in this run. */
  number: number;
  /** Of the chance by which the backend sends. */
  seed: number;
  /** The session may be ended by others than its client. */
  mayEnd: boolean;
}

/** Bytes of one. */
export const HELLO = 9;

export function encodeHello({ number, seed, mayEnd }: Hello): Uint8Array {
  const bytes = new Uint8Array(HELLO);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, number);
  view.setUint32(4, seed);
  view.setUint8(8, Number(mayEnd));
  return bytes;
}

export function decodeHello(bytes: Uint8Array): Hello {
  const view = new DataView(bytes.buffer, bytes.byteOffset);
  return { number: view.getUint32(0), seed: view.getUint32(4), mayEnd: view.getUint8(8) === 1 };
}

/** The streams of a session: from the client and to it. */
export function streamsOf(number: number): { up: number; down: number } {
  return { up: 2 * number, down: 2 * number + 1 };
}
