import assert from "node:assert/strict";
import { join } from "node:path";
import type { NodeConnectOptions } from "../../lib/client/node.ts";
import { Backend } from "../helpers/backend.ts";
import { Certificates } from "../helpers/certificates.ts";
import { clientStage } from "../helpers/client_stage.ts";
import { kcpClientStage, SOON } from "../helpers/kcp_client_stage.ts";
import { HAS_BUNDLER, makePackage } from "../helpers/npm_package.ts";
import { HAS_OPENSSL, isInstalled } from "../helpers/programs.ts";
import { TestProxy } from "../helpers/proxy.ts";
import { UdpSocket } from "../helpers/udp.ts";

const TOTAL = 100_000;
const HELPERS = join(import.meta.dirname!, "..", "helpers");
const CLIENT = join(import.meta.dirname!, "..", "..", "lib", "client");

/** The Node to test with. */
const NODE = Deno.env.get("GOSCON_NODE") ?? "node";
const HAS_NODE = isInstalled(NODE);

/** A directory with the package, and what uses it. */
const directory = HAS_BUNDLER ? await Deno.makeTempDir() : "";
let built: Promise<string> | undefined;
const build = () => built ??= makePackage(directory);

Deno.test("lib/client/*.min.js are what deno task npm writes, and import nothing but each other", {
  ignore: !HAS_BUNDLER,
}, async () => {
  const path = await build();
  const imports: string[] = [];
  for (const name of ["browser", "version1"]) {
    const packed = await Deno.readTextFile(join(path, `${name}.js`));
    const stored = await Deno.readTextFile(join(CLIENT, `${name}.min.js`));
    const renamed = packed.replace(/"\.\/(browser|version1)\.js"/, '"./$1.min.js"');
    assert(renamed === stored, "the client was changed: run deno task npm");
    assert.doesNotMatch(packed, /\bDeno\b|\brequire\b/);
    imports.push(...packed.match(/\b(import\(|from)"[^"]*"/g) ?? []);
  }
  assert.deepEqual(imports, ['import("./version1.js"', 'from"./browser.js"']);
});

Deno.test("the npm package names files that it has", { ignore: !HAS_BUNDLER }, async () => {
  const path = await build();
  const text = await Deno.readTextFile(join(path, "package.json"));
  const { name, type, exports } = JSON.parse(text);
  assert.deepEqual([name, type], ["goscon-client", "module"]);
  assert.deepEqual(Object.keys(exports["."]), ["browser", "node", "default"]);
  for (const [, file] of text.matchAll(/"(\.\/[^"]+)"/g)) await Deno.stat(join(path, file!));
  for (const file of ["README.md", "LICENSE"]) await Deno.stat(join(path, file));
});

/** What `connect` takes, and what the program prints. */
type Options = Omit<NodeConnectOptions, "signal" | "random" | "WebSocket">;
type Printed = { sent: number; received: number; resumes: number; error?: string };

/** Runs the program that streams with what is behind the URL. */
async function inNode(url: string, options: Options, flags: readonly string[] = []): Promise<Printed> {
  await build();
  for (const file of ["node_client.js", "numbers.js"]) {
    await Deno.copyFile(join(HELPERS, file), join(directory, file.replace("node_client.js", "client.mjs")));
  }
  await Deno.writeTextFile(join(directory, "package.json"), '{"type":"module"}');
  // Node 20 has a WebSocket only when asked.
  const args = ["--experimental-websocket", ...flags, join(directory, "client.mjs"), url, String(TOTAL)];
  const command = new Deno.Command(NODE, { args: [...args, JSON.stringify(options)] });
  const { success, stdout, stderr } = await command.output();
  assert(success, new TextDecoder().decode(stderr));
  return JSON.parse(new TextDecoder().decode(stdout));
}

const CASES = [
  ["tcp", "goscon", [], 2],
  ["tls", "goscon", [], 2],
  ["ws", "plain", [], 2],
  ["ws", "plain", ["--conditions=browser"], 1],
  ["ws", "plain", ["--conditions=browser"], 2],
] as const;

for (const [scheme, dialect, flags, version] of CASES) {
  const how = `over ${scheme} ${flags.join(" ")} in version ${version}`;
  const name = `the client loses nothing in Node ${how}, however often its network is cut`;
  const ignore = !HAS_BUNDLER || !HAS_NODE || (scheme === "tls" && !HAS_OPENSSL);
  Deno.test(name, { ignore }, async () => {
    using certificates = new Certificates();
    const pair = scheme === "tls" ? await certificates.make("game", "DNS:game.example") : undefined;
    await using stage = clientStage(TOTAL, 100_000, pair?.files);
    const trust = pair && { ca: pair.cert, servername: "game.example" };
    const { error, sent, received, resumes } = await inNode(stage[scheme], { dialect, version, ...trust }, flags);
    assert.equal(error, undefined);
    assert.deepEqual(await stage.backend.outcome, { sent: received, received: sent }, `GOSCON_SEED=${stage.seed}`);
    assert(resumes >= 5, `it resumed ${resumes} times only`);
  });
}

const KCP_CASES = [
  { dialect: "goscon", version: 2, fec: undefined },
  { dialect: "plain", version: 2, fec: { data: 10, parity: 3 } },
  { dialect: "plain", version: 1, fec: undefined },
] as const;

for (const { dialect, version, fec } of KCP_CASES) {
  const how = `in version ${version} of ${dialect}, ${fec ? "with" : "without"} FEC`;
  Deno.test(`the client loses nothing in Node over KCP ${how}, though datagrams are, and its address changes`, {
    ignore: !HAS_BUNDLER || !HAS_NODE,
  }, async () => {
    await using stage = await kcpClientStage(TOTAL, { dialect, fec });
    const { error, sent, received, resumes } = await inNode(stage.url, { dialect, version, fec, ...SOON });
    assert.equal(error, undefined);
    assert.deepEqual(await stage.backend.outcome, { sent: received, received: sent }, `GOSCON_SEED=${stage.seed}`);
    assert(stage.relay.rebound > 0, "its address did not change");
    assert(resumes > 0, "it did not resume");
  });
}

Deno.test(
  "the client in Node is told at once that nobody is at a port of UDP, and else waits for the time that it has",
  {
    ignore: !HAS_BUNDLER || !HAS_NODE,
  },
  async () => {
    const gone = new UdpSocket();
    const { address } = gone;
    using silent = new UdpSocket();
    const { error } = await inNode(`kcp://${silent.address}`, { handshakeTimeout: 100 });
    assert.equal(error, "the handshake took longer than 100 ms");
    gone[Symbol.dispose]();
    const refused = await inNode(`kcp://${address}`, { handshakeTimeout: 2 ** 30, silence: 2 ** 30 });
    assert.match(refused.error ?? "", new RegExp(`^${address}: nobody is there \\(.*ECONNREFUSED\\)$`));
  },
);

Deno.test("the client in Node says why it does not trust a server, or gives it up", {
  ignore: !HAS_BUNDLER || !HAS_NODE || !HAS_OPENSSL,
}, async () => {
  using certificates = new Certificates();
  const { files, cert } = await certificates.make("one");
  await using proxy = TestProxy.start({
    listen: [{ tcp: "127.0.0.1:0", tls: files }, { tcp: "127.0.0.1:0" }],
    hosts: [{ addr: "builtin:echo" }],
    shutdown_timeout: "10ms",
  });
  await using silent = new Backend();
  const cases: [address: string, options: Options, said: RegExp][] = [
    [proxy.address, {}, /^its certificate is not trusted \(/],
    [proxy.address, { ca: cert, servername: "game.example" }, /^its certificate is not for game\.example \(/],
    [proxy.address, { ca: cert, servername: "192.0.2.1" }, /^its certificate is not for 192\.0\.2\.1 \(/],
    [proxy.address, { ca: "mine" }, /^Cannot trust what ca has: it is no certificate in PEM$/],
    [proxy.plainAddress, {}, /^TLS failed \(/],
    [silent.address, { handshakeTimeout: 100 }, /^the handshake took longer than 100 ms$/],
  ];
  for (const [address, options, said] of cases) {
    assert.match((await inNode(`tls://${address}`, options)).error ?? "", said);
  }
});
