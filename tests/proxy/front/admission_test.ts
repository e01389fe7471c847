import assert from "node:assert/strict";
import { parseConfig } from "../../../lib/config.ts";
import { Admission } from "../../../lib/proxy/front/admission.ts";
import { SharedState } from "../../../lib/proxy/shared_state.ts";
import { Visitors } from "../../../lib/proxy/front/visitors.ts";

const configOf = (keys: Record<string, unknown>) =>
  parseConfig(JSON.stringify({ hosts: [{ addr: "builtin:echo" }], ...keys }), "f.yaml").config;

function open(keys: Record<string, unknown>, shared = new SharedState()) {
  const config = configOf(keys);
  const visitors = new Visitors(config.limits, () => 0);
  return { admission: new Admission(config, { shared, gate: visitors }), visitors, shared };
}

/** Begins a session: why it may not, or what ends it. */
async function begin(admission: Admission, address = "10.0.0.1", cacheSpent = false): Promise<string | (() => void)> {
  const outcome = await admission.begin(address, cacheSpent);
  return typeof outcome === "string" ? outcome : outcome.end;
}

Deno.test("allow and deny go by address and network, and deny goes before allow", () => {
  const { admission } = open({ allow: ["10.0.0.0/8", "2001:db8::/32"], deny: ["10.1.0.0/16", "2001:db8::1"] });
  const refused = (address: string) => admission.refusesConnection(address, false);
  for (const address of ["10.0.0.1", "10.255.0.1", "2001:db8::2"]) assert.equal(refused(address), undefined, address);
  for (const address of ["11.0.0.1", "10.1.2.3", "2001:db8::1", "2001:db9::1", "fe80::1%eth0"]) {
    assert.equal(refused(address), "denied", address);
  }
  assert.equal(admission.refusesConnection("11.0.0.1", true), undefined, "a proxy is no client");
  admission.reconfigure(configOf({}));
  assert.equal(refused("11.0.0.1"), undefined);
});

Deno.test("limits.handshakes, sessions and cache_bytes refuse what is beyond, in all threads together", async () => {
  const { admission, shared } = open({ limits: { handshakes: 2, sessions: 3 } });
  const { admission: other } = open({ limits: { sessions: 3 } }, new SharedState(shared.buffer));
  shared.handshakes.add(1);
  assert.equal(admission.refusesConnection("10.0.0.1", false), undefined);
  shared.handshakes.add(1);
  assert.equal(admission.refusesConnection("10.0.0.1", false), "handshakes");
  const end = await begin(admission) as () => void;
  await begin(other);
  await begin(admission);
  assert.equal(await begin(admission), "sessions");
  assert.equal(await begin(other), "sessions");
  assert.equal(shared.sessions.value, 3, "a refused session was counted");
  end();
  assert.equal(await begin(admission, "10.0.0.1", true), "cache_bytes");
  assert.equal(typeof await begin(other), "function");
});

Deno.test("a session that its address may not begin is not counted, and one that ends is counted off", async () => {
  const { admission, visitors, shared } = open({ limits: { sessions_per_ip: 1 } });
  const end = await begin(admission) as () => void;
  assert.equal(await begin(admission), "sessions_per_ip");
  assert.equal(typeof await begin(admission, "10.0.0.2"), "function");
  assert.equal(shared.sessions.value, 2);
  end();
  assert.equal(visitors.begin("10.0.0.1"), undefined);
});

Deno.test("resumes that failed are counted only when there is a limit", async () => {
  const { admission } = open({});
  for (let i = 0; i < 100; i++) admission.resumeFailed("10.0.0.1");
  assert.equal(await admission.refusesResume("10.0.0.1"), undefined);
  const { admission: limited } = open({ limits: { resume_failures_per_ip: 1 } });
  limited.resumeFailed("10.0.0.1");
  assert.equal(await limited.refusesResume("10.0.0.1"), "resume_failures_per_ip");
});
