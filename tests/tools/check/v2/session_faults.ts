import {
  ACK,
  afterResume,
  CLOSE,
  close,
  damaged,
  DATA,
  type Fault,
  FIN,
  ofServer,
  PING,
  PONG,
  refusing,
} from "./faults.ts";

/** Faults in what goes over links that resumed, in how sessions end, and in what tells that a link is alive. */
export const SESSION_FAULTS: Fault[] = [
  {
    name: "sends other bytes again",
    fault: afterResume(DATA, damaged),
    breaks: [
      ["a resume goes on where", /byte \d+ of the stream is/],
      ["a link that is cut anywhere", /byte \d+ of the stream is/],
      ["a resume takes the place", /byte \d+ of the stream is/],
      ["bytes go both ways over many", /byte \d+ of the stream is/],
    ],
  },
  {
    name: "says no ACK after a resume",
    fault: afterResume(ACK, () => []),
    breaks: [["ACK is sent at once after a resume", /an ACK did not come within \d+ ms/]],
  },
  {
    name: "forgets its FIN",
    fault: afterResume(FIN, () => []),
    breaks: [["FIN is sent again after", /FIN did not come within 5000 ms/]],
  },
  {
    name: "ends the session when its backend ends",
    fault: ofServer(FIN, () => [close(0)]),
    breaks: [["FIN is a half-close", /CLOSE 0 came \(""\), where FIN was expected/]],
  },
  {
    name: "goes on after its FIN",
    fault: ofServer(FIN, (frame) => [frame, Uint8Array.of(DATA, 0, 1, 0)]),
    breaks: [["FIN is a half-close", /the server sent a DATA after its FIN/]],
  },
  {
    name: "sends frames that are none",
    fault: ofServer(PONG, () => [Uint8Array.of(9)]),
    breaks: [["PING is answered at once by", /the server sent a frame of type 9, which is none/]],
  },
  {
    name: "does not wait for the ACK of its FIN",
    fault: ofServer(FIN, (frame) => [frame, close(0)]),
    breaks: [["when both directions are consumed", /CLOSE 0 came before its FIN was acknowledged/]],
  },
  {
    name: "answers CLOSE by CLOSE",
    fault: refusing(([type]) => type === CLOSE, 0),
    breaks: [
      ["CLOSE 0 of the client", /CLOSE 0 was answered with CLOSE 0/],
      ["CLOSE 7 of the client", /CLOSE 7 was answered with CLOSE 0/],
    ],
  },
  {
    name: "says nothing when it has nothing new to say",
    fault: () => {
      let last = "";
      return ofServer(ACK, (frame) => {
        const isSame = String(frame) === last;
        last = String(frame);
        return isSame ? [] : [frame];
      })();
    },
    breaks: [["while bytes of DATA come", /nothing came within 2700 ms/]],
  },
  {
    name: "sends no PING",
    fault: ofServer(PING, () => []),
    breaks: [["a server that sends PINGs", /a PING did not come within 7700 ms/]],
  },
];
