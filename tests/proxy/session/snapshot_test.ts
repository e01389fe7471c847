import assert from "node:assert/strict";
import { CacheBudget } from "../../../lib/proxy/session/cache_budget.ts";
import { InFlight } from "../../../lib/proxy/session/in_flight.ts";
import { ProxySession } from "../../../lib/proxy/session/session.ts";
import { Stats } from "../../../lib/proxy/stats.ts";
import { ManualFlowLink } from "../../helpers/manual_flow.ts";
import { TestLog } from "../../helpers/proxy.ts";
import { stillTime } from "../../helpers/clock.ts";
import { bytes, SessionStage, soon } from "../../helpers/session_stage.ts";

/** The session of a stage, as another process would go on with it: over another connection to the backend, if that has not ended. */
function moved(stage: SessionStage, { isEnded = false } = {}) {
  const ends: string[] = [];
  const backendLink = new ManualFlowLink();
  const backend = { link: backendLink, address: "backend", release: () => ends.push("released") };
  const session = ProxySession.restore(structuredClone(stage.session.snapshot!), isEnded ? undefined : backend, {
    log: new TestLog(),
    stats: new Stats(),
    budget: new CacheBudget(0),
    inFlight: new InFlight(false, { soon: () => {} }),
    reuseTime: () => 1000,
    cacheSize: 1024,
    connect: () => assert.fail("it has a backend"),
    onEnded: (kind) => ends.push(kind),
    onClosed: () => ends.push("closed"),
  });
  /** The client comes over another connection. */
  const resume = async () => {
    const link = new ManualFlowLink();
    const answer = (received: number) => bytes(`resumed at ${received} `);
    session.resume(link, { request: stage.client.nextResume(), rest: new Uint8Array(0), answer });
    await soon();
    return link.flow;
  };
  return { session, backend: backendLink.flow, resume, ends };
}

/** Bytes of the client's stream, ciphered. */
function sealed(stage: SessionStage, text: string) {
  const stream = bytes(text);
  stage.client.seal(stream);
  return stream;
}

/** What a connection of the client was sent after the answer, deciphered. */
function opened(stage: SessionStage, text: string, written: Uint8Array): string {
  const stream = written.slice(text.length);
  stage.client.open(stream);
  return new TextDecoder().decode(stream);
}

Deno.test("a session that is written down goes on elsewhere, with what both ends have not got yet", async () => {
  using _ = stillTime();
  const stage = await SessionStage.relaying({ dialect: "goscon", backendRoom: 2 });
  stage.flow.bring(sealed(stage, "abcdef"));
  assert.equal(stage.backend.text, "ab");
  stage.flow.break();
  stage.session.look(0);
  stage.backend.bring(bytes("first "));
  const { session, backend, resume, ends } = moved(stage);
  assert.equal(session.describe().state, "detached");
  assert.equal(backend.text, "cdef");
  const flow = await resume();
  backend.bring(bytes("second"));
  assert.equal(opened(stage, "resumed at 6 ", flow.written), "first second");
  flow.bring(sealed(stage, "ghi"));
  assert.equal(backend.text, "cdefghi");
  assert.deepEqual([session.describe().resumes, session.describe().received], [1, 9]);
  session.abort("admin");
  assert.deepEqual(ends, ["admin", "released", "closed"]);
});

Deno.test("a session whose backend has ended goes on elsewhere, until the client has the rest and the end", async () => {
  using _ = stillTime();
  const stage = await SessionStage.relaying({ dialect: "goscon" });
  stage.backend.bring(bytes("the rest"));
  stage.backend.end();
  stage.flow.end();
  const { session, resume, ends } = moved(stage, { isEnded: true });
  assert.equal(session.describe().state, "detached");
  const flow = await resume();
  assert.equal(opened(stage, "resumed at 0 ", flow.written), "the rest");
  assert.equal(flow.isWriteClosed, true);
  flow.end();
  session.abort("admin");
  assert.deepEqual(ends, ["admin", "closed"]);
});

Deno.test("a session that was written down ends when its client does not come", async () => {
  using time = stillTime();
  const { session, backend, ends } = moved(await SessionStage.relaying());
  time.pass(999);
  assert.deepEqual(ends, []);
  time.pass(1);
  assert.deepEqual(ends, ["reuse_timeout"]);
  backend.end();
  assert.deepEqual(ends, ["reuse_timeout", "released", "closed"]);
  assert.equal(session.snapshot, undefined);
});

Deno.test("a session that has no backend yet cannot be written down", () => {
  using _ = stillTime();
  assert.equal(SessionStage.run().session.snapshot, undefined);
});
