import { Connection, type ConnectionOptions } from "../../lib/client/connection.ts";
import type { EngineName } from "../../lib/config/engines.ts";
import type { Link } from "../../lib/link/link.ts";
import { Backend } from "../helpers/backend.ts";
import { CuttingLink } from "../helpers/cutting_link.ts";
import { WORKING } from "../helpers/engine.ts";
import { FAMILIES, type Family, Stage } from "../helpers/engine_pair.ts";
import { type Pair, testBackPressure, testLinkContract } from "../helpers/link_contract.ts";
import { TestProxy } from "../helpers/proxy.ts";
import { Random } from "../helpers/random.ts";
import { tcp } from "../helpers/raw_client.ts";

/** As much as a test has under way: a cut must not cost the session. */
const CACHE = 64 * 2 ** 20;

/** Both ends by one engine; of a Unix socket the far one by Deno. */
async function enginePair(name: EngineName, family: Family): Promise<Pair> {
  const stage = Stage.open(name, family);
  const [near, far] = await stage.pair();
  return { near, far, [Symbol.asyncDispose]: () => stage[Symbol.asyncDispose]() };
}

/** Near: a client of a proxy. Far: the backend. `wear` makes each connection between client and proxy a worse one. */
async function proxiedPair(wear: (link: Link) => Link, options: Partial<ConnectionOptions> = {}): Promise<Pair> {
  const backend = new Backend();
  const proxy = TestProxy.start({
    hosts: [{ addr: backend.address }],
    scp: { reuse_buffer: CACHE, reuse_time: "2s" },
    shutdown_timeout: "10ms",
  });
  const address = options.dialect === "plain" ? proxy.plainAddress : proxy.address;
  const dial = async () => wear(await tcp(address));
  const opened = Connection.open({ cacheSize: CACHE, ...options, dial });
  const [near, far] = await Promise.all([opened, backend.accept()]);
  return {
    near,
    far,
    async [Symbol.asyncDispose]() {
      near.close();
      await backend[Symbol.asyncDispose]();
      await proxy[Symbol.asyncDispose]();
    },
  };
}

for (const name of WORKING) {
  for (const family of FAMILIES) {
    testLinkContract(`a link of ${name} over ${family}`, 200_000, () => enginePair(name, family));
    testBackPressure(`a link of ${name} over ${family}`, () => enginePair(name, family));
  }
}

testLinkContract("a session, uncut,", 200_000, () => proxiedPair((link) => link));
testLinkContract("a session, plain and uncut,", 200_000, () => proxiedPair((link) => link, { dialect: "plain" }));
testBackPressure("a session", () => proxiedPair((link) => link));

/** Each connection is cut after so many bytes, but the first lives through the handshake. */
function cutEvery(count: () => number): (link: Link) => Link {
  let connections = 0;
  return (link) => new CuttingLink(link, connections++ === 0 ? 1000 : count());
}

for (const every of [200, 5000, 60_000]) {
  testLinkContract(`a session cut every ${every} bytes`, 15 * every, () => proxiedPair(cutEvery(() => every)));
}

testLinkContract("a session cut anywhere", 200_000, () => {
  const random = new Random();
  return proxiedPair(cutEvery(() => random.int(60, 60_000)));
});
