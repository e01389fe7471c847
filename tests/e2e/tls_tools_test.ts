import assert from "node:assert/strict";
import { writeAll } from "../../lib/link/link.ts";
import { readExactly } from "../helpers/backend.ts";
import { Certificates, type Pair } from "../helpers/certificates.ts";
import { Goscon, OLD_RUNTIME, runProgram } from "../helpers/goscon.ts";
import { HAS_OPENSSL } from "../helpers/programs.ts";
import { tcp } from "../helpers/raw_client.ts";

const OPTIONS = { ignore: !HAS_OPENSSL || OLD_RUNTIME }; // which has no server's end of node:tls

/** A proxy whose certificate is for game.example alone, before an echo. */
function startGoscon({ files }: Pair): Promise<Goscon> {
  return Goscon.start(`
    listen: [{tcp: "127.0.0.1:0", tls: ${JSON.stringify(files)}}]
    hosts: [{addr: "builtin:echo"}]
  `);
}

Deno.test("goscon connect, bridge and check go over TLS to whom --ca and --servername say", OPTIONS, async () => {
  using certificates = new Certificates();
  const pair = await certificates.make("game", "DNS:game.example");
  await using goscon = await startGoscon(pair);
  const url = `tls://${goscon.addresses[0]}`;
  const trust = ["--ca", pair.files.cert, "--servername", "game.example"];
  const connected = await runProgram(["connect", url, ...trust, "--linger", "1s"], { input: "hello\n" });
  assert.deepEqual([connected.code, connected.out], [0, "hello\n"], connected.err);
  assert.match(connected.err, /^goscon: connected to tls:\/\//);
  const checked = await runProgram(["check", url, ...trust]);
  assert.deepEqual([checked.code, checked.err], [0, ""], checked.out);
  const flags = ["--listen", "127.0.0.1:0", "--connect", url, "--log-format", "json"];
  await using bridge = Goscon.spawn(["bridge", ...flags, ...trust]);
  const { address } = await bridge.event((e) => e.message === "bridge listening");
  const local = await tcp(String(address));
  await writeAll(local, new TextEncoder().encode("hello"));
  assert.equal(new TextDecoder().decode(await readExactly(local, 5)), "hello");
  local.close();
});

Deno.test(
  "goscon connect says why it does not trust a server, and takes no flag of TLS for nothing",
  OPTIONS,
  async () => {
    using certificates = new Certificates();
    const pair = await certificates.make("game", "DNS:game.example");
    await using goscon = await startGoscon(pair);
    const [address] = goscon.addresses as [string];
    const ca = ["--ca", pair.files.cert];
    const cases: [args: string[], code: number, said: RegExp][] = [
      [[`tls://${address}`], 1, /: its certificate is not trusted \(/],
      [[`tls://${address}`, ...ca], 1, /: its certificate is not for 127\.0\.0\.1 \(/],
      [[`tls://${address}`, "--ca", pair.files.key], 2, /Cannot trust what ca has: it is no certificate in PEM/],
      [
        [`tls://${address}`, "--ca", certificates.path("none")],
        2,
        /Cannot read the certificate .*: there is no such file/,
      ],
      [[address, ...ca], 2, /--ca and --servername are for tls:\/\/host:port, not 127/],
    ];
    for (const [args, code, said] of cases) {
      const { code: got, err } = await runProgram(["connect", ...args]);
      assert.match(err, said);
      assert.match(err, /^goscon: [^\n]*\n$/);
      assert.equal(got, code, err);
    }
  },
);
