import assert from "node:assert/strict";
import { publicKey } from "../../../lib/scp/dh64.ts";
import { formatMessage, parseNewAnswer, parseRequest, parseResumeAnswer } from "../../../lib/scp/message.ts";
import {
  acceptOffer,
  AckedSession,
  goneContent,
  parseOffer,
  requestWithOffer,
  resumeContent,
  resumedContent,
} from "../../../lib/scp/v2/mod.ts";
import { allOf } from "../../helpers/frames.ts";
import { pattern } from "../../helpers/random.ts";
import golden from "../../testdata/scp2_vectors.json" with { type: "json" };

const base64 = (text: string) => Uint8Array.from(atob(text), (c) => c.charCodeAt(0));
const OFFER = { key: base64(golden.client_public), window: 262144 };
const TERMS = { key: base64(golden.server_public), window: 4096, ping: 15000, reuse: 30000 };
const CLIENT = { privateKey: 5n, target: "game", flag: 0, cacheSize: 70_000, offer: OFFER };
const PROXY = { id: 1956550640, privateKey: 7n, cacheSize: 80_000, terms: TERMS };

const newRequest = (content: string) => {
  const request = parseRequest(content);
  assert(request.kind === "new");
  return request;
};

/** What a server of version 1 answers. */
const answerOfVersion1 = formatMessage({ id: 7, key: publicKey(7n) });

Deno.test("a request with an offer is one of version 1, whose flag says that there is a fifth line", () => {
  for (const flag of [0, 1, 2, 3, 2 ** 31, 2 ** 32 - 1]) {
    const { content } = requestWithOffer({ ...CLIENT, flag, dialect: "goscon" });
    const request = newRequest(content);
    const expected = Number(BigInt(flag) | 2n);
    assert.deepEqual(request, { kind: "new", key: publicKey(5n), target: "game", flag: expected });
    assert.deepEqual(parseOffer(content, request.flag), OFFER);
    assert.equal(content.split("\n").slice(4).join("\n"), golden.new_request_content.split("\n")[4]);
  }
});

Deno.test("an offer that is taken makes two ends of one session, each with its own sizes", () => {
  for (const dialect of ["goscon", "plain"] as const) {
    const { content, finish } = requestWithOffer({ ...CLIENT, dialect });
    const request = newRequest(content);
    const { session: proxy, answer } = acceptOffer(request, parseOffer(content, request.flag)!, { ...PROXY, dialect });
    assert.equal(parseNewAnswer(answer).id, PROXY.id);
    const { session: client, terms } = finish(answer);
    assert(client instanceof AckedSession);
    assert.deepEqual(terms, TERMS);
    assert.deepEqual([client.id, proxy.id, client.dialect, proxy.dialect], [PROXY.id, PROXY.id, dialect, dialect]);
    assert.deepEqual([client.room, proxy.room], [4096, 80_000]);
    assert.deepEqual([client.snapshot.window, client.snapshot.peerWindow, client.snapshot.cacheSize], [
      262144,
      4096,
      70_000,
    ]);
    assert.deepEqual([proxy.snapshot.window, proxy.snapshot.peerWindow, proxy.snapshot.cacheSize], [
      4096,
      262144,
      80_000,
    ]);
    for (const [from, to] of [[client, proxy], [proxy, client]] as const) {
      for (const end of [from, to]) end.attach(0, new Uint8Array(0));
      from.send(pattern(0, 50));
      const wire = allOf(from);
      assert.equal(wire.slice(-50).every((byte, i) => byte === pattern(0, 50)[i]), dialect === "plain");
      const take = (bytes: Uint8Array) => {
        assert.deepEqual(bytes.slice(), pattern(0, 50));
        return bytes.length;
      };
      to.receive(wire, { take });
    }
  }
});

Deno.test("an answer of version 1 gives what a session of version 1 starts from", () => {
  const { finish } = requestWithOffer({ ...CLIENT, dialect: "plain" });
  const { version1, terms } = finish(answerOfVersion1);
  assert.deepEqual([version1?.id, version1?.dialect, terms], [7, "plain", undefined]);
});

Deno.test("an answer that is none is refused", () => {
  const { finish } = requestWithOffer({ ...CLIENT, dialect: "plain" });
  for (
    const answer of ["0\n400", `${answerOfVersion1}\n`, `${answerOfVersion1}\n2 x 4096 1 1`, `${answerOfVersion1}\n3`]
  ) {
    assert.throws(() => finish(answer), { name: "ScpError", code: 400 }, JSON.stringify(answer));
  }
});

Deno.test("the golden records of a resume, and those of the plain dialect", () => {
  const { id, index, received, mac, request_content } = golden.resume;
  assert.equal(resumeContent(id, index, { value: Number(received), mac: base64(mac) }), request_content);
  const resumed = { value: Number(golden.resumed.received), mac: base64(golden.resumed.mac) };
  assert.equal(resumedContent("goscon", resumed), golden.resumed.answer_content);
  const gone = { value: golden.gone.end, mac: base64(golden.gone.mac) };
  assert.equal(goneContent("goscon", gone), golden.gone.answer_content);
  assert.equal(resumedContent("plain", resumed), golden.resumed.answer_content.replace("\n200\n", "\n200 OK\n"));
  assert.match(goneContent("plain", gone), /^0\n410 [A-Z][A-Za-z ]+\n2 0 /);
  assert.deepEqual(parseResumeAnswer(goneContent("plain", gone)), { received: 0, code: 410 });
});
