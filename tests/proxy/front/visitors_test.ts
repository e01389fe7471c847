import assert from "node:assert/strict";
import { parseConfig } from "../../../lib/config.ts";
import { Visitors } from "../../../lib/proxy/front/visitors.ts";

function open(limits: Record<string, number>) {
  const { config } = parseConfig(JSON.stringify({ hosts: [{ addr: "builtin:echo" }], limits }), "f.yaml");
  let now = 1_000_000;
  return { visitors: new Visitors(config.limits, () => now), pass: (ms: number) => void (now += ms) };
}

Deno.test("limits.sessions_per_ip counts those of an IPv4 address, and of 64 bits of an IPv6 one", () => {
  const { visitors } = open({ sessions_per_ip: 2 });
  for (let i = 0; i < 2; i++) assert.equal(visitors.begin("10.0.0.1"), undefined);
  assert.equal(visitors.begin("10.0.0.1"), "sessions_per_ip");
  assert.equal(visitors.begin("10.0.0.2"), undefined);
  visitors.end("10.0.0.1");
  assert.equal(visitors.begin("10.0.0.1"), undefined);
  assert.equal(visitors.begin("2001:db8::1"), undefined);
  assert.equal(visitors.begin("2001:db8:0:0:ffff::2"), undefined);
  assert.equal(visitors.begin("2001:db8::3"), "sessions_per_ip");
  assert.equal(visitors.begin("2001:db8:0:1::3"), undefined);
  visitors.sweep();
  assert.equal(visitors.begin("2001:db8::3"), "sessions_per_ip", "sessions were forgotten");
});

Deno.test("limits.new_per_second_per_ip lets so many in at once, and then so many a second", () => {
  const { visitors, pass } = open({ new_per_second_per_ip: 2 });
  const outcomes = (address = "10.0.0.1") =>
    Array.from({ length: 3 }, () => {
      const refusal = visitors.begin(address);
      if (!refusal) visitors.end(address);
      return refusal ?? "in";
    });
  assert.deepEqual(outcomes(), ["in", "in", "new_per_second_per_ip"]);
  assert.deepEqual(outcomes("10.0.0.2"), ["in", "in", "new_per_second_per_ip"]);
  pass(500);
  assert.deepEqual(outcomes(), ["in", "new_per_second_per_ip", "new_per_second_per_ip"]);
  pass(60_000);
  visitors.sweep();
  assert.deepEqual(outcomes(), ["in", "in", "new_per_second_per_ip"], "more than the burst was saved up");
});

Deno.test("limits.resume_failures_per_ip refuses resumes for a minute after so many failures within a minute", () => {
  const { visitors, pass } = open({ resume_failures_per_ip: 3 });
  const fail = (times: number) => {
    for (let i = 0; i < times; i++) visitors.resumeFailed("10.0.0.1");
  };
  fail(2);
  pass(60_000);
  fail(2);
  assert.equal(visitors.refusesResume("10.0.0.1"), undefined, "failures of another minute were counted");
  pass(59_000);
  fail(1);
  assert.equal(visitors.refusesResume("10.0.0.1"), "resume_failures_per_ip");
  assert.equal(visitors.refusesResume("10.0.0.2"), undefined);
  pass(59_999);
  visitors.sweep();
  assert.equal(visitors.refusesResume("10.0.0.1"), "resume_failures_per_ip");
  pass(1);
  assert.equal(visitors.refusesResume("10.0.0.1"), undefined);
});
