import assert from "node:assert/strict";
import { accept, answerRecord, request, resumeRecord } from "../../lib/scp/handshake.ts";
import { type NewRequest, parseRequest } from "../../lib/scp/message.ts";
import { decodeRecord } from "../../lib/scp/record.ts";
import { assertSameBytes } from "../helpers/bytes.ts";
import { pattern } from "../helpers/random.ts";
import { u64, vectors } from "../helpers/vectors.ts";

Deno.test("request() and accept() make the two ends of one session", () => {
  for (const { private_a, private_b, public_a_base64 } of vectors.dh64) {
    for (const dialect of ["goscon", "plain"] as const) {
      const common = { dialect, cacheSize: 100 };
      const hello = request({ privateKey: u64(private_a), target: "one", flag: 1, ...common });
      const asked = decodeRecord(hello.record)!.content;
      assert.equal(asked, `0\n${public_a_base64}\none\n1`);
      const accepted = accept(parseRequest(asked) as NewRequest, { id: 7, privateKey: u64(private_b), ...common });
      const client = hello.finish(decodeRecord(accepted.answer)!.content);
      assert.deepEqual([client.id, accepted.session.id], [7, 7]);
      const bytes = pattern(0, 50);
      client.seal(bytes);
      accepted.session.open(bytes);
      assertSameBytes(bytes, pattern(0, 50));
      accepted.session.authorize(client.nextResume());
    }
  }
});

Deno.test("finish() refuses what is no answer", () => {
  const hello = request({ privateKey: 5n, target: "", flag: 0, dialect: "plain", cacheSize: 1 });
  assert.throws(() => hello.finish("0\n400"), { name: "ScpError", code: 400 });
});

Deno.test("resumeRecord() and answerRecord() are records of the messages", () => {
  const { content_hmac64_md5: content } = vectors.resume_requests[0]!;
  const resume = parseRequest(content);
  assert(resume.kind === "resume");
  assert.equal(decodeRecord(resumeRecord(resume))!.content, content);
  assert.equal(decodeRecord(answerRecord({ received: 123, code: 200 }, "goscon"))!.content, "123\n200");
  assert.equal(decodeRecord(answerRecord({ received: 123, code: 200 }, "plain"))!.content, "123\n200 OK");
});
