/** What a client sends first, so that the backend knows what to expect of it, and what it expects. */
export interface Hello {
  /** Of the session, in this run. */
  number: number;
  /** Of the chance by which the backend sends. */
  seed: number;
  /** The session may be ended by others than its client. */
  mayEnd: boolean;
  /** Of the protocol: in 2 each end ends its own direction. */
  version: 1 | 2;
  /** In version 2: messages after which the backend ends its direction, whatever the client does; 0: it waits for the client. */
  messages: number;
}

/** Bytes of one. */
export const HELLO = 11;

export function encodeHello({ number, seed, mayEnd, version, messages }: Hello): Uint8Array {
  const bytes = new Uint8Array(HELLO);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, number);
  view.setUint32(4, seed);
  view.setUint8(8, Number(mayEnd));
  view.setUint8(9, version);
  view.setUint8(10, messages);
  return bytes;
}

export function decodeHello(bytes: Uint8Array): Hello {
  const view = new DataView(bytes.buffer, bytes.byteOffset);
  return {
    number: view.getUint32(0),
    seed: view.getUint32(4),
    mayEnd: view.getUint8(8) === 1,
    version: view.getUint8(9) === 2 ? 2 : 1,
    messages: view.getUint8(10),
  };
}

/** The streams of a session: from the client and to it. */
export function streamsOf(number: number): { up: number; down: number } {
  return { up: 2 * number, down: 2 * number + 1 };
}
