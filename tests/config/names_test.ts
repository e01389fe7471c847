import assert from "node:assert/strict";
import { mock } from "node:test";
import { ConfigError, readConfig } from "../../lib/config.ts";
import { turn } from "../helpers/turns.ts";

const HOSTS = 'hosts: [{addr: "builtin:echo"}]\nmanager_token: t\n';
const KNOWN: Record<string, string[]> = {
  "one.example": ["192.0.2.1"],
  "both.example": ["2001:db8::1", "192.0.2.1"],
  "mapped.example": ["::ffff:192.0.2.1"],
  "other.example": ["192.0.2.2"],
  "six.example": ["2001:db8::1"],
  localhost: ["127.0.0.1", "::1"],
};

/** What is said of a file: its faults, or its warnings. */
async function said(text: string, asked: string[] = []): Promise<readonly string[]> {
  const lookup = (name: string) => {
    asked.push(name);
    return KNOWN[name] ? Promise.resolve(KNOWN[name]) : Promise.reject(new Error("ENOTFOUND"));
  };
  try {
    return (await readConfig(HOSTS + text, "f.yaml", { loadPair: () => ({ cert: "", key: "" }), lookup })).warnings;
  } catch (error) {
    assert(error instanceof ConfigError, String(error));
    return error.faults;
  }
}

Deno.test("readConfig() refuses two names of one address, a name beside its address, and the same of the manager", async () => {
  const both = (one: string, other: string) => `tcp: "${one}:1"\nlisten: [{tcp: "${other}:1"}]`;
  assert.deepEqual(await said(both("one.example", "both.example")), [
    "f.yaml:4:16: listen[0].tcp: both.example:1 (2001:db8::1 192.0.2.1) is listened on already, by tcp",
  ]);
  assert.deepEqual(await said(both("192.0.2.1", "mapped.example")), [
    "f.yaml:4:16: listen[0].tcp: mapped.example:1 (192.0.2.1) is listened on already, by tcp",
  ]);
  assert.deepEqual(await said(both("localhost", "[::1]")), [
    "f.yaml:4:16: listen[0].tcp: [::1]:1 is listened on already, by tcp",
  ]);
  assert.deepEqual(await said('tcp: "one.example:1"\nmanager: both.example:1'), [
    "f.yaml:4:10: manager: both.example:1 (2001:db8::1 192.0.2.1) is listened on already, by tcp",
  ]);
  assert.deepEqual(await said('tcp: ":1"\nmanager: one.example:1'), [
    "f.yaml:4:10: manager: one.example:1 (192.0.2.1) cannot be had beside :1 of tcp: take another port",
  ]);
  assert.deepEqual(await said('tcp: ":1"\nmanager: six.example:1'), []);
  assert.deepEqual(await said(both("one.example", "other.example")), []);
  assert.deepEqual(await said('tcp: "one.example:1"\nlisten: [{tcp: "both.example:2"}]\nmanager: one.example:3'), []);
});

Deno.test("readConfig() warns of a name that stands for an address of a wildcard, and of one that cannot be looked up", async () => {
  assert.deepEqual(await said('tcp: ":1"\nlisten: [{ws: "one.example:1"}]'), [
    "f.yaml:4:15: listen[0].ws: who connects to one.example:1 (192.0.2.1) reaches this, not tcp",
  ]);
  const asked: string[] = [];
  assert.deepEqual(await said('tcp: "none.example:1"\nlisten: [{ws: "none.example:2"}, {ws: "127.1:2"}]', asked), [
    "f.yaml:3:6: tcp: none.example cannot be looked up: ENOTFOUND",
    "f.yaml:4:15: listen[0].ws: none.example cannot be looked up: ENOTFOUND",
  ]);
  assert.deepEqual(asked, ["none.example"]);
  assert.deepEqual(await said('tcp: "[::]:1"\nmanager: none.example:1'), [
    "f.yaml:4:10: manager: none.example cannot be looked up: ENOTFOUND",
  ]);
});

Deno.test("readConfig() waits two seconds for names that are not answered, and has 8 looked up at once, of whichever file", async () => {
  const text = `${HOSTS}listen:\n${Array.from({ length: 10 }, (_, i) => `  - tcp: n${i}.example:1\n`).join("")}`;
  const asked: PromiseWithResolvers<string[]>[] = [];
  const lookup = () => (asked.push(Promise.withResolvers()), asked.at(-1)!.promise);
  const read = () => readConfig(text, "f.yaml", { loadPair: () => ({ cert: "", key: "" }), lookup });
  mock.timers.enable({ apis: ["setTimeout"] });
  try {
    for (let i = 0; i < 2; i++) {
      const reading = read();
      assert.equal(asked.length, 8);
      mock.timers.tick(2000);
      const { warnings } = await reading;
      assert.equal(warnings.length, 10);
      assert.equal(warnings[0], "f.yaml:4:10: listen[0].tcp: n0.example cannot be looked up: no answer within 2000 ms");
    }
  } finally {
    mock.timers.reset();
  }
  for (const { resolve } of asked) resolve([]);
  await turn();
  assert.equal(asked.length, 8, "what nobody waits for any more is not looked up");
  const last = read();
  assert.equal(asked.length, 16);
  while (asked.length < 18) {
    for (const [i, { resolve }] of asked.entries()) resolve([`192.0.2.${i}`]);
    await turn();
  }
  for (const [i, { resolve }] of asked.entries()) resolve([`192.0.2.${i}`]);
  assert.deepEqual((await last).warnings, []);
});
