import assert from "node:assert/strict";
import fc from "fast-check";
import { type Code, MESSAGES, ScpError } from "../../lib/scp/error.ts";
import {
  formatMessage,
  formatResumeAnswer,
  parseNewAnswer,
  parseRequest,
  parseResumeAnswer,
  resumeText,
} from "../../lib/scp/message.ts";
import { hashkey, hmac64Md5 } from "../../lib/scp/mod.ts";
import { u64, vectors } from "../helpers/vectors.ts";

const KEY = "782riWdFIwE=";
const malformed = (run: () => unknown, note: string) => assert.throws(run, { name: "ScpError", code: 400 }, note);

Deno.test("a new-session request is goscon's, both ways", () => {
  const { content, key, target, flag } = vectors.new_request;
  const request = { kind: "new", key: u64(key), target, flag } as const;
  assert.equal(formatMessage(request), content);
  assert.deepEqual(parseRequest(content), request);
});

Deno.test("the answer to it is goscon's, both ways", () => {
  const { content, id, key } = vectors.new_response;
  assert.equal(formatMessage({ id, key: u64(key) }), content);
  assert.deepEqual(parseNewAnswer(content), { id, key: u64(key) });
});

Deno.test("a resume request is goscon's, both ways", () => {
  for (const { id, index, received, secret, content_hmac64_md5: content } of vectors.resume_requests) {
    const lines = { id, index, received };
    const hmac = hmac64Md5(hashkey(new TextEncoder().encode(resumeText(lines))), u64(secret));
    const request = { kind: "resume", ...lines, hmac } as const;
    assert.equal(formatMessage(request), content);
    assert.deepEqual(parseRequest(content), request);
  }
});

Deno.test("the answer to it is goscon's, and in the plain dialect has the code's message", () => {
  const { content, received, code } = vectors.resume_response;
  const answer = { received, code: code as Code };
  assert.equal(formatResumeAnswer(answer, "goscon"), content);
  assert.deepEqual(parseResumeAnswer(content), answer);
  assert.equal(formatResumeAnswer({ received: 0, code: 404 }, "plain"), "0\n404 User Not Found");
});

Deno.test("parseResumeAnswer() takes every code in either form", () => {
  for (const [text, message] of Object.entries(MESSAGES)) {
    const expected = { received: 4294967295, code: Number(text) };
    assert.deepEqual(parseResumeAnswer(`4294967295\n${text}`), expected);
    assert.deepEqual(parseResumeAnswer(`4294967295\n${text} ${message}`), expected);
    assert.deepEqual(parseResumeAnswer(`4294967295\n${text} any words\nmore`), expected);
  }
  for (
    const answer of ["", "0", "0\n", "0\n20", "0\n2000", "0\n200OK", "0\n299", "x\n200", "-1\n200", "4294967296\n200"]
  ) {
    malformed(() => parseResumeAnswer(answer), JSON.stringify(answer));
  }
});

Deno.test("parseNewAnswer() ignores further lines, and refuses what is no answer", () => {
  assert.deepEqual(parseNewAnswer(`7\n${KEY}\nmore`).id, 7);
  for (const answer of ["", "7", `0\n${KEY}`, `4294967296\n${KEY}`, "7\nxf////////8=", "0\n400"]) {
    malformed(() => parseNewAnswer(answer), JSON.stringify(answer));
  }
});

Deno.test("a new-session request has 2, 3 or 4 lines, or more that are ignored", () => {
  const key = u64(vectors.new_request.key);
  const parsed = (lines: string) => parseRequest(`0\n${KEY}${lines}`);
  assert.deepEqual(parsed(""), { kind: "new", key, target: "", flag: 0 });
  assert.deepEqual(parsed("\n"), { kind: "new", key, target: "", flag: 0 });
  assert.deepEqual(parsed("\nGame_1"), { kind: "new", key, target: "Game_1", flag: 0 });
  assert.deepEqual(parsed("\n\n1"), { kind: "new", key, target: "", flag: 1 });
  assert.deepEqual(parsed("\na\n4294967295"), { kind: "new", key, target: "a", flag: 4294967295 });
  assert.deepEqual(parsed("\na\n007\nmore\n"), { kind: "new", key, target: "a", flag: 7 });
});

Deno.test("a resume request ignores further lines", () => {
  assert.deepEqual(parseRequest(`7\n1\n0\n${KEY}\nmore`), parseRequest(`7\n1\n0\n${KEY}`));
});

const BAD_NUMBERS = ["", " 1", "1 ", "+1", "-1", "0x1", "1e3", "1.0", "１", "4294967296", "99999999999999999999", "a"];
const BAD_BASE64 = [
  "",
  "782riWdFIwE", // no padding
  "782riWdFIwE==",
  "782riWdFIw==", // 7 bytes
  "782riWdFIwEA", // 9 bytes
  "782riWdFIwF=", // bits that are no part of the value
  "782riWdFI-E=", // the alphabet for URLs
  " 782riWdFIwE=",
  "782riWdFIwE= ",
  "782riWdF IwE=",
];

Deno.test("a request that is anything else does not parse", () => {
  for (const number of BAD_NUMBERS) {
    malformed(() => parseRequest(`0\n${KEY}\na\n${number}`), `flag ${JSON.stringify(number)}`);
    malformed(() => parseRequest(`${number}\n1\n0\n${KEY}`), `id ${JSON.stringify(number)}`);
    malformed(() => parseRequest(`7\n${number}\n0\n${KEY}`), `index ${JSON.stringify(number)}`);
    malformed(() => parseRequest(`7\n1\n${number}\n${KEY}`), `received ${JSON.stringify(number)}`);
  }
  for (const base64 of BAD_BASE64) {
    malformed(() => parseRequest(`0\n${base64}`), `key ${JSON.stringify(base64)}`);
    malformed(() => parseRequest(`7\n1\n0\n${base64}`), `hmac ${JSON.stringify(base64)}`);
  }
  for (const target of ["a b", "a-b", "é", "a.b", "a\r", "../x"]) {
    malformed(() => parseRequest(`0\n${KEY}\n${target}`), `target ${JSON.stringify(target)}`);
  }
  for (const key of ["AAAAAAAAAAA=", "xf////////8="]) {
    malformed(() => parseRequest(`0\n${key}`), "a key that is 0 mod p");
  }
  for (const content of ["", "0", "\n", "0\n", "7\n1\n0", "00\n1\n0\n" + KEY]) {
    malformed(() => parseRequest(content), JSON.stringify(content));
  }
});

Deno.test("whatever comes, parsing gives a message or ScpError 400", () => {
  const line = fc.oneof(
    fc.string(),
    fc.nat().map(String),
    fc.constantFrom(KEY, "0", "1", "", ...BAD_NUMBERS, ...BAD_BASE64),
  );
  const content = fc.oneof(fc.string(), fc.array(line, { maxLength: 6 }).map((lines) => lines.join("\n")));
  fc.assert(
    fc.property(content, (text) => {
      for (const parse of [parseRequest, parseNewAnswer, parseResumeAnswer]) {
        try {
          parse(text);
        } catch (error) {
          assert(error instanceof ScpError && error.code === 400, String(error));
        }
      }
    }),
    { numRuns: 2000 },
  );
});
