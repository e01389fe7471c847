import assert from "node:assert/strict";
import { check, type Outcome, tryRule } from "../../lib/tools/check/check.ts";
import { RULES_OF_2 } from "../../lib/tools/check/v2/rules.ts";
import { diallingTo } from "../../lib/tools/proxy_address.ts";
import { terminal } from "../../lib/tools/connect/terminal.ts";
import { startUdpFlaky } from "../../lib/tools/flaky/udp/udp_flaky.ts";
import { formatEndpoint } from "../../lib/link/link.ts";
import { Backend, readExactly } from "../helpers/backend.ts";
import { sendAll, TestBridge } from "../helpers/bridge.ts";
import { assertSameBytes, concat } from "../helpers/bytes.ts";
import { kcpProxy } from "../helpers/kcp_proxy.ts";
import { pattern, Random } from "../helpers/random.ts";

const ECHO = { hosts: [{ addr: "builtin:echo" }] };
const FEC = { data: 10, parity: 3 };

for (const version of [1, 2] as const) {
  Deno.test(`a bridge carries all over KCP that loses, doubles and reorders datagrams: version ${version}`, async () => {
    const { seed } = new Random();
    const length = 200_000;
    await using backend = new Backend();
    await using proxy = await kcpProxy({ hosts: [{ addr: backend.address }] }, { fec: FEC });
    const [connect] = proxy.proxy.addresses;
    const listen = { hostname: "127.0.0.1", port: 0 };
    const flaky = await startUdpFlaky({ listen, connect: connect!, loss: 0.05, duplicate: 0.05, reorder: 0.05, seed });
    {
      await using bridge = new TestBridge(`kcp://${flaky.address}`, { version, fec: FEC });
      using near = await bridge.open();
      const far = await backend.accept();
      const [up, down] = await Promise.all([
        readExactly(far, length),
        readExactly(near, length),
        sendAll(near, length, 1),
        sendAll(far, length, 2),
      ]);
      assertSameBytes(up, pattern(0, length, 1), `GOSCON_SEED=${seed}`);
      assertSameBytes(down, pattern(0, length, 2), `GOSCON_SEED=${seed}`);
    }
    await flaky.stop();
  });
}

Deno.test("a terminal is joined to a session over KCP, and the end of its input is the end", async () => {
  await using proxy = await kcpProxy(ECHO);
  const shown: Uint8Array[] = [];
  const said: string[] = [];
  await terminal(`kcp://${proxy.address}`, {}, {
    input: new Blob([pattern(0, 5000)]).stream(),
    output: new WritableStream({ write: (bytes) => void shown.push(bytes) }),
    tell: (line) => said.push(line),
    linger: 0,
  });
  assertSameBytes(concat(shown), pattern(0, 5000));
  assert.match(said.join(), /^connected to kcp:\/\/127\.0\.0\.1:\d+: session \d+$/);
});

Deno.test("a proxy keeps every rule over KCP; that a link is closed shows by its silence", async () => {
  await using proxy = await kcpProxy(ECHO, { fec: FEC });
  const { addresses: [goscon, plain] } = proxy.proxy;
  const outcomes: Outcome[] = [];
  const tell = (outcome: Outcome) => outcomes.push(outcome);
  const url = `kcp://${formatEndpoint(goscon!)}`;
  assert(
    await check(url, { dialect: "goscon", version: 1, fec: FEC, slack: 5000, tell, note: assert.fail }),
    "version 1",
  );
  // One after the other, as `check` tries them, they take long: those that are closed are listened to for a while.
  const { dial } = diallingTo(`kcp://${formatEndpoint(plain!)}`, { fec: FEC, timeout: 5000, silence: 1000 });
  const failures = await Promise.all(RULES_OF_2.map(async ({ rule, check }) => {
    const reason = await tryRule(check, dial, "plain", 5000);
    return reason === undefined ? [] : [`${rule}: ${reason}`];
  }));
  assert.deepEqual(failures.flat(), []);
});
