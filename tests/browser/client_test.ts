import assert from "node:assert/strict";
import { join } from "node:path";
import type { CDPSession, Page } from "playwright-core";
import { Line } from "../../lib/tools/demo/line.ts";
import { Goscon } from "../helpers/goscon.ts";
import { NumberBackend } from "../helpers/number_backend.ts";
import { CHROMIUM, launchChromium } from "./chromium.ts";

const ROOT = join(import.meta.dirname!, "..", "..");
const FILES: Record<string, string> = {
  "/browser.min.js": "lib/client/browser.min.js",
  "/version1.min.js": "lib/client/version1.min.js",
  "/numbers.js": "tests/helpers/numbers.js",
};

/**
 * Streams numbers both ways, a piece a frame, as the browser tells the developer tools of every message, until `enough`
 * is set; pauses before a resume are days while `patient` is.
 */
const PAGE = `<!DOCTYPE html><link rel="icon" href="data:,"><script type="module">
  import { connect } from "./browser.min.js";
  import { exchangeNumbers } from "./numbers.js";
  Object.assign(globalThis, { events: [], received: 0, pauses: 0, enough: false, patient: false });
  const [port, version] = location.hash.slice(1).split(",").map(Number);
  const connection = await connect("ws://127.0.0.1:" + port + "/scp", {
    version,
    dialect: "plain",
    cacheSize: 16 * 2 ** 20,
    random: () => (pauses++, patient ? 1e7 : 0), // asked for each pause
  });
  for (const kind of ["lost", "resumed", "closed"]) {
    connection.addEventListener(kind, ({ detail }) => events.push({ kind, ...detail }));
  }
  globalThis.connection = connection;
  const aFrameLater = () => new Promise(requestAnimationFrame);
  globalThis.outcome = exchangeNumbers(connection, () => aFrameLater().then(() => enough), (count) => globalThis.received = count);
</script>`;

function respond(request: Request): Response {
  const file = FILES[new URL(request.url).pathname];
  return file === undefined
    ? new Response(PAGE, { headers: { "content-type": "text/html" } })
    : new Response(Deno.readTextFileSync(join(ROOT, file)), { headers: { "content-type": "text/javascript" } });
}

type Event = { kind: string; attempts?: number; reason?: string };

/** A page that streams, and its network. */
class Streaming {
  readonly #page: Page;
  readonly #devTools: CDPSession;

  constructor(page: Page, devTools: CDPSession) {
    this.#page = page;
    this.#devTools = devTools;
  }

  /** Takes the network of the page away, or gives it back: open WebSockets are not closed by that, but nothing comes through. */
  async network(there: boolean): Promise<void> {
    const unchanged = { latency: 0, downloadThroughput: -1, uploadThroughput: -1 };
    await this.#devTools.send("Network.emulateNetworkConditions", { offline: !there, ...unchanged });
  }

  async events(kind: string): Promise<Event[]> {
    return (await this.evaluate<Event[]>("events")).filter((event) => event.kind === kind);
  }

  /** What waits until there is one more of that kind than now. */
  async another(kind: string): Promise<() => Promise<void>> {
    const { length } = await this.events(kind);
    return () => this.until(`events.filter((event) => event.kind === "${kind}").length > ${length}`);
  }

  /** Waits until the page has received so many numbers more. */
  async more(count: number): Promise<void> {
    await this.until(`received >= ${await this.evaluate<number>("received") + count}`);
  }

  /** Waits until it holds in the page. */
  async until(expression: string): Promise<void> {
    await this.#page.waitForFunction(expression);
  }

  evaluate<T>(expression: string): Promise<T> {
    return this.#page.evaluate(expression);
  }
}

/** The network is away for a while, and meanwhile the server drops the connection: the page learns of it when it is back. */
async function cutUnseen(page: Streaming, line: Line): Promise<void> {
  const resumed = await page.another("resumed");
  await page.network(false);
  line.cut(0);
  await page.network(true);
  await resumed();
}

/** The connection is lost, an attempt without a network fails, and the next pause would be hours: it is the network's event that ends it. */
async function cutSeen(page: Streaming, line: Line): Promise<void> {
  const [lost, resumed] = [await page.another("lost"), await page.another("resumed")];
  await page.evaluate("patient = true");
  line.cut(0);
  await lost();
  await page.network(false);
  await page.evaluate("pauses = 0, connection.retryNow()");
  await page.until("pauses === 1");
  await page.network(true);
  await resumed();
  assert.equal((await page.events("resumed")).at(-1)!.attempts, 2);
  await page.evaluate("patient = false");
}

/** Nothing comes through for a while, and no connection is lost; but it is doubted when the network is back, and may be replaced. */
async function stall(page: Streaming): Promise<void> {
  await page.network(false);
  await page.network(true);
}

const ROUNDS = 10;

for (const version of [1, 2]) {
  Deno.test(`in version ${version} the client loses nothing in Chromium, however often its network is cut`, {
    ignore: CHROMIUM === undefined,
    // A browser is more than a test's own resources.
    sanitizeOps: false,
    sanitizeResources: false,
  }, () => stream(version));
}

async function stream(version: number): Promise<void> {
  await using backend = new NumberBackend();
  await using goscon = await Goscon.start(`
    listen: [{ws: "127.0.0.1:0", dialect: plain}]
    hosts: [{addr: "${backend.address}"}]
    scp: {reuse_buffer: 64MiB}
    shutdown_timeout: 10ms
  `);
  const line = new Line("127.0.0.1", { hostname: "127.0.0.1", port: Number(goscon.addresses[0]!.split(":")[1]) });
  const server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen: () => {} }, respond);
  const browser = await launchChromium();
  try {
    const page = await browser.newPage();
    const faults: string[] = [];
    page.on("pageerror", (error) => faults.push(error.message));
    await page.goto(`http://127.0.0.1:${server.addr.port}/#${line.address.port},${version}`);
    await page.waitForFunction("globalThis.outcome !== undefined");
    const streaming = new Streaming(page, await page.context().newCDPSession(page));
    for (let round = 1; round <= ROUNDS; round++) {
      await streaming.more(20_000);
      await (round % 2 ? cutUnseen : cutSeen)(streaming, line);
      await streaming.more(20_000);
      await stall(streaming);
    }
    await streaming.evaluate("enough = true");
    const [far, near] = await Promise.all([
      backend.outcome,
      streaming.evaluate<{ sent: number; received: number; resumes: number }>("outcome"),
    ]);
    const { sent, received, resumes } = near;
    console.log(`${sent} numbers sent, ${received} received, ${resumes} resumes`);
    assert.deepEqual(far, { sent: received, received: sent });
    assert(resumes >= ROUNDS, `only ${resumes} resumes`);
    assert.deepEqual(faults, []);
  } finally {
    await browser.close();
    await line.close();
    await server.shutdown();
  }
}
