import assert from "node:assert/strict";
import fc from "fast-check";
import { ScpError } from "../../../lib/scp/error.ts";
import {
  FLAG_VERSION_2,
  hasProof,
  parseAnswerProof,
  parseOffer,
  parseResumeProof,
  parseTerms,
} from "../../../lib/scp/v2/mod.ts";
import golden from "../../testdata/scp2_vectors.json" with { type: "json" };

const KEY = golden.client_public;
const MAC = golden.resume.mac;
const offer = (line: string) => parseOffer(`0\nkey\n\n2\n${line}`, FLAG_VERSION_2);
const terms = (line: string) => parseTerms(`1\nkey\n${line}`);
const answer = (line: string) => parseAnswerProof(`1\n200\n${line}`);
const refused = (code: number, run: () => unknown, note: string) =>
  assert.throws(run, { name: "ScpError", code }, note);
const malformed = (run: () => unknown, line: string) => refused(400, run, JSON.stringify(line));

/** What is no number of any field. */
const NO_NUMBERS = [
  "",
  " 1",
  "+4096",
  "-4096",
  "04096",
  "0x1000",
  "4e3",
  "4096.0",
  "４０９６",
  "4096\r",
  "a",
  "1_000",
  "NaN",
];
const NO_KEYS = [
  "",
  KEY.slice(0, -1), // no padding
  KEY + "=",
  KEY.slice(0, -4), // 63 bytes
  "AAAA" + KEY, // 68 bytes
  KEY.replace("=", "A"), // 66 bytes
  KEY.replace("5Q=", "=="), // 64 bytes
  KEY.replace("5Q=", "5R="), // bits that are no part of the value
  golden.server_public.replace("/", "_"), // the alphabet for URLs
  "A" + KEY.slice(1), // begins with 0
  "Ag" + KEY.slice(2), // as if compressed
  "é" + KEY.slice(1),
  "=" + KEY.slice(1),
];
const NO_MACS = ["", MAC.slice(0, -1), MAC + "=", "AAAA" + MAC, MAC.slice(4), MAC.replace("0=", "==")]
  .concat(MAC.replace("0=", "1="), MAC.replace("/", "_"), KEY, "\t" + MAC.slice(1));

Deno.test("an offer is there just when the flag and the line are", () => {
  const content = `0\nkey\ntarget\n2\n2 ${KEY} 4096`;
  const without = content.split("\n").slice(0, 4).join("\n");
  for (const flag of [0, 1, 4, 5, 2 ** 32 - 3]) assert.equal(parseOffer(content, flag), undefined, String(flag));
  for (const flag of [2, 3, 6, 2 ** 31 + 2, 2 ** 32 - 1]) assert.equal(parseOffer(content, flag)?.window, 4096);
  for (const flag of [0, 2, 3]) assert.equal(parseOffer(without, flag), undefined);
  // What it offers is not looked at when the flag is not there.
  assert.equal(parseOffer("0\nkey\n\n1\nanything", 1), undefined);
});

Deno.test("a window is of 4,096 to 16,777,216", () => {
  for (const window of [4096, 4097, 262144, 16777215, 16777216]) {
    assert.equal(offer(`2 ${KEY} ${window}`)?.window, window);
    assert.equal(terms(`2 ${KEY} ${window} 0 0`)?.window, window);
  }
  for (const window of ["0", "1", "4095", "16777217", "4294967296", "99999999999999999999", ...NO_NUMBERS]) {
    malformed(() => offer(`2 ${KEY} ${window}`), window);
    malformed(() => terms(`2 ${KEY} ${window} 0 0`), window);
  }
});

Deno.test("the ping interval and the reuse_time are below 2^31", () => {
  const parsed = terms(`2 ${KEY} 4096 2147483647 2147483646`);
  assert.deepEqual([parsed?.ping, parsed?.reuse], [2 ** 31 - 1, 2 ** 31 - 2]);
  assert.equal(terms(`2 ${KEY} 4096 0 1`)?.ping, 0);
  for (const number of ["2147483648", "9007199254740993", ...NO_NUMBERS]) {
    malformed(() => terms(`2 ${KEY} 4096 ${number} 1`), `ping ${number}`);
    malformed(() => terms(`2 ${KEY} 4096 1 ${number}`), `reuse ${number}`);
  }
});

Deno.test("a key is the base64 of 65 bytes, the first of them 4", () => {
  for (const key of NO_KEYS) {
    malformed(() => offer(`2 ${key} 4096`), key);
    malformed(() => terms(`2 ${key} 4096 0 0`), key);
  }
});

Deno.test("fields are separated by one space, and further ones are ignored, as further lines are", () => {
  assert.equal(offer(`2 ${KEY} 4096 more  and\tmore`)?.window, 4096);
  assert.equal(offer(`2 ${KEY} 4096\nmore`)?.window, 4096);
  assert.equal(terms(`2 ${KEY} 4096 1 2 3`)?.reuse, 2);
  assert.equal(terms(`2 ${KEY} 4096 1 2\n`)?.reuse, 2);
  assert.equal(answer(`2 7 ${MAC} 8`)?.value, 7);
  for (const line of [`2  ${KEY} 4096`, `2 ${KEY}  4096`, `2\t${KEY}\t4096`, ` 2 ${KEY} 4096`, `2 ${KEY}`, "2", ""]) {
    malformed(() => offer(line), line);
  }
  for (const line of [`2 ${KEY} 4096 1`, `2 ${KEY} 4096`, `2 ${KEY} 4096  1 2`, "2", ""]) {
    malformed(() => terms(line), line);
  }
});

Deno.test("the first field is 2", () => {
  for (const version of ["", "1", "3", "02", "+2", "22", "２", "2.0"]) {
    malformed(() => offer(`${version} ${KEY} 4096`), version);
    malformed(() => terms(`${version} ${KEY} 4096 0 0`), version);
    malformed(() => answer(`${version} 7 ${MAC}`), version);
    malformed(() => parseResumeProof(`1\n1\n7\nkey\n${version} 7 ${MAC}`, 7), version);
  }
});

Deno.test("an answer of version 1 has no terms and no proof", () => {
  for (const content of ["", "1", "1\nkey"]) {
    assert.equal(parseTerms(content), undefined);
    assert.equal(parseAnswerProof(content), undefined);
  }
});

Deno.test("a proof has a number of at most 2^53 - 1, and the base64 of 32 bytes", () => {
  for (const value of [0, 1, 2 ** 32, Number.MAX_SAFE_INTEGER]) assert.equal(answer(`2 ${value} ${MAC}`)?.value, value);
  for (const value of ["9007199254740992", "9007199254740993", "18446744073709551616", ...NO_NUMBERS]) {
    malformed(() => answer(`2 ${value} ${MAC}`), value);
    malformed(() => parseResumeProof(`1\n1\n7\nkey\n2 ${value} ${MAC}`, 7), value);
  }
  for (const mac of NO_MACS) malformed(() => answer(`2 7 ${mac}`), mac);
  malformed(() => answer("2 7"), "no mac");
});

Deno.test("a resume request without the fifth line is of version 1: 401; one whose lines differ is 400", () => {
  const request = (received: number, line: string) => () => parseResumeProof(`1\n1\n${received}\nkey${line}`, received);
  refused(401, request(7, ""), "no fifth line");
  malformed(request(7, "\n"), "an empty one");
  assert.equal(request(7, `\n2 7 ${MAC}`)().value, 7);
  assert.equal(request(7, `\n2 ${2 ** 32 + 7} ${MAC}`)().value, 2 ** 32 + 7);
  assert.equal(request(2 ** 32 - 1, `\n2 ${Number.MAX_SAFE_INTEGER} ${MAC}`)().value, Number.MAX_SAFE_INTEGER);
  for (const [third, fifth] of [[7, 8], [8, 7], [0, 1], [1, 2 ** 32], [2 ** 32 - 1, 0]]) {
    malformed(request(third!, `\n2 ${fifth} ${MAC}`), `${third}, ${fifth}`);
  }
});

Deno.test("a resume request is of version 2 when its fifth line begins with that field", () => {
  const request = (line: string) => hasProof(`1\n1\n7\nkey${line}`);
  for (const line of [`\n2 7 ${MAC}`, "\n2 ", "\n2 x\n3"]) assert.equal(request(line), true, JSON.stringify(line));
  for (const line of ["", "\n", "\n2", "\n22 7", "\n3 7", "\n 2 7", "\n\n2 7"]) {
    assert.equal(request(line), false, JSON.stringify(line));
  }
});

Deno.test("whatever comes, parsing gives something or ScpError 400, or 401 of what has no fifth line", () => {
  const field = fc.oneof(fc.string(), fc.nat().map(String), fc.constantFrom("2", KEY, MAC, ...NO_KEYS, ...NO_NUMBERS));
  const line = fc.oneof(fc.string(), fc.array(field, { maxLength: 6 }).map((fields) => fields.join(" ")));
  const content = fc.array(line, { maxLength: 6 }).map((lines) => lines.join("\n"));
  const parsers = [(text: string) => parseOffer(text, 2), parseTerms, parseAnswerProof];
  fc.assert(
    fc.property(content, (text) => {
      for (const parse of [...parsers, (text: string) => parseResumeProof(text, 0)]) {
        try {
          parse(text);
        } catch (error) {
          assert(error instanceof ScpError, String(error));
          assert.equal(error.code, text.split("\n").length < 5 && !parsers.includes(parse as never) ? 401 : 400);
        }
      }
    }),
    { numRuns: 1000 },
  );
});
