import { answering, close, type Fault, misSigned, proving } from "./faults.ts";

const OTHER = "BNZak5d8qj0bCBhS/1ennkZfFmBXcwS66tUF3TpIWJzzUBheiVNy32Ih6joTdVfkc/3bZ1XwW9UHw8Uz/OnJEoU=";
const isNew = (content: string) => /^[1-9]\d*\n[A-Za-z0-9+/]{11}=/.test(content);

/** Faults in handshakes. */
export const HANDSHAKE_FAULTS: Fault[] = [
  {
    name: "has a window that is too small",
    fault: () => ({ answer: (content) => content.replace(/ 4096 (\d+ \d+)$/, " 4095 $1") }),
    breaks: [["an offer is answered with a third line", /the answer to an offer is .*the window is less than 4096/]],
  },
  {
    name: "has a key that is no point of the curve",
    fault: () => ({ answer: (content) => content.replace(/\n2 \S+/, `\n2 ${OTHER.replace("NZ", "NY")}`) }),
    breaks: [["an offer is answered with a third line", /the KEY of the answer is no point of the curve P-256/]],
  },
  {
    name: "does not know the largest window",
    fault: () => ({ answer: (content, { request }) => / 16777216\b/.test(request) ? "0\n400" : content }),
    breaks: [["the least and the largest window", /the answer to an offer is "0\\n400"/]],
  },
  {
    name: "refuses more than it knows",
    fault: () => ({ answer: (content, { request }) => request.endsWith("more") ? "0\n400" : content }),
    breaks: [["the least and the largest window", /the answer to an offer is "0\\n400"/]],
  },
  {
    name: "speaks version 2 to everybody",
    fault: () => ({
      answer: (content) => content.split("\n").length > 2 ? content : `${content}\n2 ${OTHER} 4096 0 0`,
    }),
    breaks: [["bit 1 without a fifth line", /bit 1 without a fifth line: the answer has more than two lines/]],
  },
  {
    name: "takes any version",
    fault: () => ({ request: (content) => content.replace(/\n1 (\S+ \d+)$/, "\n2 $1") }),
    breaks: [["a malformed offer", /the first field is 1: it was taken/]],
  },
  {
    name: "takes malformed requests for errors of its own",
    fault: answering(400, 501),
    breaks: [
      ["a malformed offer", /the answer's code is 501, where 400 was expected/],
      ["a fifth line that does not parse", /the answer's code is 501, where 400 was expected/],
    ],
  },
  {
    name: "wants a record in one piece",
    fault: () => ({ readsOnce: true }),
    breaks: [[
      "an offer that comes byte by byte",
      /the connection was closed (after \d+ of \d+ bytes|without an answer)/,
    ]],
  },
  {
    name: "gives one id to all",
    fault: () => ({ answer: (content) => isNew(content) ? content.replace(/^\d+/, "7") : content }),
    breaks: [["sessions have keys of their own", /two of three sessions have one id/]],
  },
  {
    name: "takes what has a wrong HMAC",
    fault: answering(401, 200),
    breaks: [
      ["sessions have keys of their own", /the answer's code is 200, where 401 was expected/],
      ["a wrong HMAC is refused with 401", /the answer's code is 200, where 401 was expected/],
      ["of a session that has ended a wrong", /the answer's code is 200, where 401 was expected/],
    ],
  },
  {
    name: "answers a resume in the form of dialect plain",
    fault: () => ({ answer: (content) => content.replace(/\n200\n/, "\n200 OK\n") }),
    breaks: [["a resume is answered with RECEIVED", /its second line is "200 OK", where 200 was expected/]],
  },
  {
    name: "signs the answer to a resume with another key",
    fault: proving(200, misSigned),
    breaks: [["a resume is answered with RECEIVED", /the HMAC of the answer to a resume is wrong/]],
  },
  {
    name: "answers a resume as version 1 does",
    fault: () => ({ answer: (content, { isResume }) => isResume ? content.split("\n", 2).join("\n") : content }),
    breaks: [["a resume is answered with RECEIVED", /the answer with 200 has no third line/]],
  },
  {
    name: "has another number in the first line",
    fault: () => ({ answer: (content) => content.replace(/^100\n/, "99\n") }),
    breaks: [["a resume is answered with RECEIVED", /the first line of the answer is 99, where its RECEIVED is 100/]],
  },
  {
    name: "leaves the old link open",
    fault: () => ({ atEnd: ({ isResume }) => !isResume }),
    breaks: [["the link that a resume took", /the connection was not closed/]],
  },
  {
    name: "says good-bye over the old link",
    fault: () => ({
      atEnd: ({ say }) => {
        say(close(1));
        return false;
      },
    }),
    breaks: [["the link that a resume took", /it was told CLOSE 1/]],
  },
  {
    name: "has another code for what it does not know",
    fault: answering(404, 401),
    breaks: [["an id that is no session's", /the answer's code is 401, where 404 was expected/]],
  },
  {
    name: "resumes a session of version 2 as one of version 1",
    fault: answering(401, 200),
    breaks: [["a request of version 1 is refused", /the answer's code is 200, where 401 was expected/]],
  },
  {
    name: "looks at the fifth line for a session of version 1",
    fault: () => ({
      answer: (content, { request, isResume }) => isResume && request.split("\n").length > 4 ? "0\n401" : content,
    }),
    breaks: [["for a session of version 1", /the answer's code is 401, where 200 was expected/]],
  },
  {
    name: "ends a session for a request that it refuses",
    fault: () => {
      let isOver = false;
      return {
        answer: (content) => {
          isOver ||= /^0\n40\d/.test(content);
          return content;
        },
        toClient: (frame) => isOver ? [close(4)] : [frame],
      };
    },
    breaks: [
      ["a fifth line that does not parse", /CLOSE 4 came/],
      ["a request of version 1 is refused", /CLOSE 4 came/],
      ["a wrong HMAC is refused with 401", /CLOSE 4 came/],
      ["an index that was used", /CLOSE 4 came/],
      ["a RECEIVED below the last ACK", /CLOSE 4 came/],
    ],
  },
  {
    name: "takes stale requests",
    fault: answering(403, 200),
    breaks: [
      ["an index that was used", /the answer's code is 200, where 403 was expected/],
      ["a RECEIVED below the last ACK", /the answer's code is 200, where 403 was expected/],
      ["of a session that has ended a wrong", /the answer's code is 200, where 403 was expected/],
    ],
  },
  {
    name: "takes any claim",
    fault: answering(406, 200),
    breaks: [["a RECEIVED above what was sent", /the answer's code is 200, where 406 was expected/]],
  },
  {
    name: "forgets what has ended",
    fault: answering(410, 404),
    breaks: [
      ["a RECEIVED above what was sent", /the answer's code is 404, where 410 was expected/],
      ["an end that was said is told again", /the answer's code is 404, where 410 was expected/],
      ["CLOSE 0 of the client", /the answer's code is 404, where 410 was expected/],
      ["CLOSE 7 of the client", /the answer's code is 404, where 410 was expected/],
      ["the end after a protocol error", /the answer's code is 404, where 410 was expected/],
    ],
  },
  {
    name: "signs what has ended with another key",
    fault: proving(410, misSigned),
    breaks: [["an end that was said is told again", /the HMAC of the 410 is wrong/]],
  },
];
