import type { Faults, Relayed } from "../../../helpers/frame_relay.ts";

/** A fault of a server, and the rules that it breaks, with what is said of each. */
export interface Fault {
  name: string;
  /** Made anew for each rule: what is to be kept between connections is the fault's. */
  fault: () => Faults;
  /** How a rule begins, and a part of what is said. */
  breaks: [rule: string, said: RegExp][];
}

/** What the frames begin with. */
export const DATA = 1, ACK = 2, PING = 3, PONG = 4, FIN = 5, CLOSE = 6;

export const close = (code: number) => Uint8Array.of(CLOSE, 0, code, 0);
export const number = (type: number, value: number) => Uint8Array.of(type, 0, 0, value >> 8, value & 255);

/** Changes the frames of one type that come from the server. */
export function ofServer(type: number, change: (frame: Uint8Array, relayed: Relayed) => Uint8Array[]): () => Faults {
  return () => ({ toClient: (frame, relayed) => frame[0] === type ? change(frame, relayed) : [frame] });
}

/** The same, only over links that resumed. */
export function afterResume(type: number, change: (frame: Uint8Array) => Uint8Array[]): () => Faults {
  return ofServer(type, (frame, { isResume }) => isResume ? change(frame) : [frame]);
}

/** Ends sessions, as the client sees it, for frames that are right. */
export function refusing(isRefused: (frame: Uint8Array) => boolean, code = 4): () => Faults {
  return () => ({
    toServer: (frame, { say }) => {
      if (isRefused(frame)) say(close(code));
      return [frame];
    },
  });
}

/** Answers with another code. */
export function answering(code: number, other: number): () => Faults {
  return () => ({ answer: (content) => content.replace(new RegExp(`^(\\d+)\n${code}( .*)?`), `$1\n${other}`) });
}

/** Puts something else in the place of a part of the third line of an answer with that code. */
export function proving(code: number, change: (line: string) => string): () => Faults {
  return () => ({
    answer: (content) => {
      const [first, second, third] = content.split("\n");
      return second!.startsWith(String(code)) && third ? [first, second, change(third)].join("\n") : content;
    },
  });
}

/** Has another byte at the end of a DATA. */
export function damaged(frame: Uint8Array): Uint8Array[] {
  frame[frame.length - 1]! ^= 1;
  return [frame];
}

/** Has another HMAC at the end of a line. */
export function misSigned(line: string): string {
  const at = line.lastIndexOf(" ") + 1;
  return line.slice(0, at) + (line[at] === "A" ? "B" : "A") + line.slice(at + 1);
}
