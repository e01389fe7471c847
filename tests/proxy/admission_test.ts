import assert from "node:assert/strict";
import { parseConfig } from "../../lib/config.ts";
import { Admission } from "../../lib/proxy/admission.ts";

const configOf = (keys: Record<string, unknown>) =>
  parseConfig(JSON.stringify({ hosts: [{ addr: "builtin:echo" }], ...keys }), "f.yaml").config;

function open(keys: Record<string, unknown>) {
  let now = 1_000_000;
  const admission = new Admission(configOf(keys), () => now);
  return { admission, pass: (ms: number) => void (now += ms) };
}

const ROOM = { sessions: 0, cacheSpent: false };

Deno.test("allow and deny go by address and network, and deny goes before allow", () => {
  const { admission } = open({ allow: ["10.0.0.0/8", "2001:db8::/32"], deny: ["10.1.0.0/16", "2001:db8::1"] });
  const refused = (address: string) => admission.refusesConnection(address, { handshakes: 0 }, false);
  for (const address of ["10.0.0.1", "10.255.0.1", "2001:db8::2"]) assert.equal(refused(address), undefined, address);
  for (const address of ["11.0.0.1", "10.1.2.3", "2001:db8::1", "2001:db9::1", "fe80::1%eth0"]) {
    assert.equal(refused(address), "denied", address);
  }
  assert.equal(admission.refusesConnection("11.0.0.1", { handshakes: 0 }, true), undefined, "a proxy is no client");
  admission.reconfigure(configOf({}));
  assert.equal(refused("11.0.0.1"), undefined);
});

Deno.test("limits.handshakes, sessions and cache_bytes refuse what is beyond", () => {
  const { admission } = open({ limits: { handshakes: 2, sessions: 3 } });
  assert.equal(admission.refusesConnection("10.0.0.1", { handshakes: 1 }, false), undefined);
  assert.equal(admission.refusesConnection("10.0.0.1", { handshakes: 2 }, false), "handshakes");
  assert.equal(admission.refusesSession("10.0.0.1", { ...ROOM, sessions: 2 }), undefined);
  assert.equal(admission.refusesSession("10.0.0.1", { ...ROOM, sessions: 3 }), "sessions");
  assert.equal(admission.refusesSession("10.0.0.1", { sessions: 0, cacheSpent: true }), "cache_bytes");
});

Deno.test("limits.sessions_per_ip counts those of an IPv4 address, and of 64 bits of an IPv6 one", () => {
  const { admission } = open({ limits: { sessions_per_ip: 2 } });
  const endOne = admission.sessionBegun("10.0.0.1");
  admission.sessionBegun("10.0.0.1");
  assert.equal(admission.refusesSession("10.0.0.1", ROOM), "sessions_per_ip");
  assert.equal(admission.refusesSession("10.0.0.2", ROOM), undefined);
  endOne();
  assert.equal(admission.refusesSession("10.0.0.1", ROOM), undefined);
  admission.sessionBegun("2001:db8::1");
  admission.sessionBegun("2001:db8:0:0:ffff::2");
  assert.equal(admission.refusesSession("2001:db8::3", ROOM), "sessions_per_ip");
  assert.equal(admission.refusesSession("2001:db8:0:1::3", ROOM), undefined);
  admission.sweep();
  assert.equal(admission.refusesSession("2001:db8::3", ROOM), "sessions_per_ip", "sessions were forgotten");
});

Deno.test("limits.new_per_second_per_ip lets so many in at once, and then so many a second", () => {
  const { admission, pass } = open({ limits: { new_per_second_per_ip: 2 } });
  const outcomes = (address = "10.0.0.1") =>
    Array.from({ length: 3 }, () => admission.refusesSession(address, ROOM) ?? "in");
  assert.deepEqual(outcomes(), ["in", "in", "new_per_second_per_ip"]);
  assert.deepEqual(outcomes("10.0.0.2"), ["in", "in", "new_per_second_per_ip"]);
  pass(500);
  assert.deepEqual(outcomes(), ["in", "new_per_second_per_ip", "new_per_second_per_ip"]);
  pass(60_000);
  admission.sweep();
  assert.deepEqual(outcomes(), ["in", "in", "new_per_second_per_ip"], "more than the burst was saved up");
});

Deno.test("limits.resume_failures_per_ip refuses resumes for a minute after so many failures within a minute", () => {
  const { admission, pass } = open({ limits: { resume_failures_per_ip: 3 } });
  const fail = (times: number) => {
    for (let i = 0; i < times; i++) admission.resumeFailed("10.0.0.1");
  };
  fail(2);
  pass(60_000);
  fail(2);
  assert.equal(admission.refusesResume("10.0.0.1"), undefined, "failures of another minute were counted");
  pass(59_000);
  fail(1);
  assert.equal(admission.refusesResume("10.0.0.1"), "resume_failures_per_ip");
  assert.equal(admission.refusesResume("10.0.0.2"), undefined);
  pass(59_999);
  admission.sweep();
  assert.equal(admission.refusesResume("10.0.0.1"), "resume_failures_per_ip");
  pass(1);
  assert.equal(admission.refusesResume("10.0.0.1"), undefined);
});

Deno.test("limits.resume_failures_per_ip of 0 counts nothing", () => {
  const { admission } = open({});
  for (let i = 0; i < 100; i++) admission.resumeFailed("10.0.0.1");
  assert.equal(admission.refusesResume("10.0.0.1"), undefined);
});
