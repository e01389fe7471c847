import { ACK, CLOSE, close, damaged, DATA, type Fault, number, ofServer, PING, PONG, refusing } from "./faults.ts";

/** Milliseconds that are more than what is said at once may take; and more than an ACK may. */
const LATE = 1000;
const TOO_LATE = 2200;

const later = (ms: number) => (frame: Uint8Array, { say }: { say: (frame: Uint8Array, ms: number) => void }) => {
  say(frame, ms);
  return [];
};

/** Faults in what goes over a link. */
export const STREAM_FAULTS: Fault[] = [
  {
    name: "changes a byte of the stream",
    fault: ofServer(DATA, damaged),
    breaks: [["the stream is carried both ways", /byte 0 of the stream is \d+, where \d+ was sent/]],
  },
  {
    name: "answers PING with another number",
    fault: ofServer(PONG, ([, a, b, c, d]) => [Uint8Array.of(PONG, a!, b!, c!, d! ^ 4)]),
    breaks: [["PING is answered at once by", /a PONG of 5 came, where 1 was expected/]],
  },
  {
    name: "answers some PINGs late",
    fault: ofServer(PONG, (frame, relayed) => frame[4] === 1 ? [frame] : later(LATE)(frame, relayed)),
    breaks: [
      ["PING is answered at once by", /a PONG of 0 did not come within \d+ ms/],
      ["PING is answered at once also while", /a PONG of 3 did not come within \d+ ms/],
    ],
  },
  {
    name: "takes a PONG for an error",
    fault: refusing(([type]) => type === PONG),
    breaks: [["a PONG that answers nothing", /CLOSE 4 came \(""\), where byte 100 of the stream/]],
  },
  {
    name: "knows the frames from 128 on no more than others",
    fault: refusing(([type]) => type! >= 128),
    breaks: [["frames of the types 128 to 255", /CLOSE 4 came/]],
  },
  {
    name: "takes what comes in one read for whole frames",
    fault: () => ({
      read: (bytes, { say }) => {
        if (bytes[0] === DATA && bytes.length < 6) say(close(4));
        return bytes;
      },
    }),
    breaks: [["frames that come byte by byte", /CLOSE 4 came/]],
  },
  {
    name: "takes a thousand frames and no more",
    fault: () => {
      let frames = 0;
      return refusing(() => ++frames > 1000, 5)();
    },
    breaks: [["10,000 DATA of one byte", /CLOSE 5 came/]],
  },
  {
    name: "has another code for errors",
    fault: ofServer(CLOSE, () => [close(1)]),
    breaks: [
      ["a frame of a type that is none", /CLOSE 1 came \(""\), where CLOSE 4 was expected/],
      ["a DATA of no bytes", /CLOSE 1 came/],
      ["DATA or FIN beyond the window", /CLOSE 1 came/],
      ["DATA or FIN after FIN", /CLOSE 1 came/],
      ["an ACK of what was never sent", /CLOSE 1 came/],
      ["a MOVE from the client", /CLOSE 1 came/],
      ["when both directions are consumed", /CLOSE 1 came \(""\), where CLOSE 0 was expected/],
      ["a RECEIVED above what was sent", /CLOSE 1 came/],
    ],
  },
  {
    name: "says nothing when the protocol is broken",
    fault: ofServer(CLOSE, () => []),
    breaks: [["a MOVE from the client", /the connection was closed, where CLOSE 4 was expected/]],
  },
  {
    name: "acknowledges after two seconds",
    fault: ofServer(ACK, later(TOO_LATE)),
    breaks: [
      ["what is consumed is acknowledged", /an ACK of 4106 did not come within 1500 ms/],
      ["FIN is a half-close", /an ACK of the FIN did not come within \d+ ms/],
    ],
  },
  {
    name: "acknowledges once a second",
    fault: ofServer(ACK, later(LATE)),
    breaks: [["a quarter of the window", /an ACK of 1024 bytes came after \d+ ms/]],
  },
  {
    name: "acknowledges what was never sent",
    fault: ofServer(ACK, () => [number(ACK, 40_000)]),
    breaks: [["the stream is carried both ways", /an ACK of 40000 came, where 0 were acknowledged and 1 sent/]],
  },
  {
    name: "takes the client's window for larger than it is",
    fault: () => ({ request: (content) => content.replace(/ 4096$/, " 65536") }),
    breaks: [["the server sends no more than", /sent up to position \d+, where the window ends at 4096/]],
  },
  {
    name: "takes the RECEIVED of a resume for an ACK",
    fault: () => ({
      toServer: (frame, { isResume }) => isResume && frame[0] === PING ? [number(ACK, 4096), frame] : [frame],
    }),
    breaks: [["the RECEIVED of a resume opens", /sent up to position \d+, where the window ends at 4096/]],
  },
  {
    name: "takes an ACK that says nothing new for an error",
    fault: () => {
      let last = -1;
      return refusing((frame) => {
        if (frame[0] !== ACK) return false;
        const isSame = frame[4] === last;
        last = frame[4]!;
        return isSame;
      })();
    },
    breaks: [["an ACK of the same position again", /CLOSE 4 came/]],
  },
  {
    name: "loses an ACK of the client",
    fault: () => {
      let acks = 0;
      return { toServer: (frame) => frame[0] === ACK && ++acks >= 3 ? [] : [frame] };
    },
    breaks: [["with windows that do not match", /byte 4096 of the stream did not come within 5000 ms/]],
  },
];
