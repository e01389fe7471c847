import assert from "node:assert/strict";
import type { Browser, Page } from "playwright-core";
import { Backend } from "../helpers/backend.ts";
import { Goscon } from "../helpers/goscon.ts";
import { clusterInfo, describedNode } from "../helpers/cluster_info.ts";
import { LocalCluster } from "../helpers/local_cluster.ts";
import { CHROMIUM, launchChromium } from "./chromium.ts";
import { pattern } from "../helpers/random.ts";
import { AckedClient } from "../helpers/acked_client.ts";
import { kcp } from "../helpers/kcp_client.ts";
import { openOver, RawClient } from "../helpers/raw_client.ts";

/** The text of each cell of a session's row, by the head of its column. */
async function cells(page: Page, id: number): Promise<Record<string, string>> {
  const heads = await page.locator("table", { has: page.locator("#table") }).locator("th").allTextContents();
  const values = await page.locator(`tr[data-id="${id}"] td`).allTextContents();
  return Object.fromEntries(heads.map((head, i) => [head.trim(), values[i] ?? ""]));
}

async function withPage(goscon: Goscon, run: (page: Page) => Promise<void>): Promise<void> {
  const { url } = await goscon.event((e) => e.message === "manager");
  const browser: Browser = await launchChromium();
  try {
    const page = await browser.newPage({ viewport: { width: 1200, height: 900 } });
    const faults: string[] = [];
    page.on("pageerror", (error) => faults.push(error.message));
    page.on("console", (message) => message.type() === "error" && faults.push(message.text()));
    await page.goto(String(url));
    await run(page);
    assert.deepEqual(faults, []);
  } finally {
    await browser.close();
  }
}

Deno.test("the manager's page shows a session appear, get lost, resume and end, and ends one by a click", {
  ignore: CHROMIUM === undefined,
  // A browser is more than a test's own resources.
  sanitizeOps: false,
  sanitizeResources: false,
}, async () => {
  await using goscon = await Goscon.start(`
    listen: [{tcp: "127.0.0.1:0"}]
    manager: 127.0.0.1:0
    hosts: [{name: one, addr: "builtin:echo"}, {name: two, addr: "builtin:echo", backup: true}]
  `);
  await withPage(goscon, async (page) => {
    await page.getByText("builtin:echo").first().waitFor();
    const { io } = await goscon.event((e) => e.message === "sockets");
    await page.getByText(`io: ${io}`).waitFor();
    using client = await RawClient.open(goscon.addresses[0]!, { target: "one" });
    using other = await RawClient.open(goscon.addresses[0]!, { target: "two" });
    const state = (id: number, state: string) => page.locator(`tr[data-id="${id}"] td.${state}`).waitFor();
    await state(client.id, "attached");
    await client.send(pattern(0, 3000));
    await client.receive(3000);
    client.link.close();
    await state(client.id, "detached");
    await page.getByText("1 attached, 1 detached").waitFor();
    await client.resume();
    await state(client.id, "attached");
    const { target, resumes, upstream, "from client": received } = await cells(page, client.id);
    assert.deepEqual([target, resumes, upstream, received], ["one", "1", "builtin:echo", "2.9 KiB"]);
    await page.getByText("200: 1").waitFor();
    await page.getByLabel("Search sessions").fill("two");
    await page.locator(`tr[data-id="${client.id}"]`).waitFor({ state: "detached" });
    await state(other.id, "attached");
    await page.getByLabel("Search sessions").fill("");
    await state(client.id, "attached");
    const screenshot = Deno.env.get("GOSCON_SCREENSHOT");
    if (screenshot) await page.screenshot({ path: screenshot });
    await page.getByLabel(`End session ${client.id}`).click();
    await page.locator(`tr[data-id="${client.id}"]`).waitFor({ state: "detached" });
    assert.equal((await client.receiveToEnd()).length, 0);
    const ended = await goscon.event((e) => e.message === "session ended");
    assert.deepEqual([ended.id, ended.reason], [client.id, "ended by the manager"]);
    other.link.close();
  });
});

Deno.test("the manager's page goes on through an upgrade, and tells of it", {
  ignore: CHROMIUM === undefined || Deno.build.os !== "linux",
  sanitizeOps: false,
  sanitizeResources: false,
}, async () => {
  await using backend = new Backend();
  await using goscon = await Goscon.start(`
    listen: [{tcp: "127.0.0.1:0"}]
    manager: 127.0.0.1:0
    hosts: [{addr: "${backend.address}"}]
  `);
  await withPage(goscon, async (page) => {
    using _client = await RawClient.open(goscon.addresses[0]!);
    await page.getByText("1 attached").waitFor();
    assert.equal(await page.locator("#upgrade").textContent(), "");
    assert.equal((await goscon.manager("POST", "/upgrade")).status, 200);
    await page.getByText(
      /^upgraded \d s ago in \d+\.\d s: 1 sessions, none stood still for more than \d+ ms \(p50 \d+, p99 \d+\)$/,
    )
      .waitFor();
    await page.getByText("1 attached").waitFor();
  });
});

Deno.test("the manager's page tells of KCP once somebody comes by it", {
  ignore: CHROMIUM === undefined,
  sanitizeOps: false,
  sanitizeResources: false,
}, async () => {
  await using goscon = await Goscon.start(`
    listen: [{tcp: "127.0.0.1:0"}, {kcp: "127.0.0.1:0"}]
    manager: 127.0.0.1:0
    hosts: [{addr: "builtin:echo"}]
  `);
  await withPage(goscon, async (page) => {
    using _overTcp = await RawClient.open(goscon.addresses[0]!);
    await page.getByText("1 attached").waitFor();
    assert.equal(await page.locator("#kcp").textContent(), "");
    using _client = await openOver(await kcp(goscon.addresses[1]!));
    await page.getByText(/^1 over KCP, 0 not proven, \d+\.\d % of segments sent again$/).waitFor();
  });
});

Deno.test("the manager's page tells versions, chooses by them, and has a client of version 2 move", {
  ignore: CHROMIUM === undefined,
  sanitizeOps: false,
  sanitizeResources: false,
}, async () => {
  await using goscon = await Goscon.start(`
    listen: [{tcp: "127.0.0.1:0"}]
    manager: 127.0.0.1:0
    hosts: [{addr: "builtin:echo"}]
  `);
  await withPage(goscon, async (page) => {
    using old = await RawClient.open(goscon.addresses[0]!);
    using client = await AckedClient.open(goscon.addresses[0]!);
    await page.getByText("1 of version 1, 1 of version 2").waitFor();
    await page.locator(`tr[data-id="${old.id}"] td.attached`).waitFor();
    for (const [version, { id }] of [["1", old], ["2", client]] as const) {
      assert.equal((await cells(page, id)).version, version);
    }
    assert.equal(await page.getByLabel(`Move session ${old.id}`).count(), 0, "version 1 has no word for that");
    const move = async (answer: string | null): Promise<string> => {
      const asked = page.waitForEvent("dialog").then(async (dialog) => {
        if (answer === null) await dialog.dismiss();
        else await dialog.accept(answer);
        return `${dialog.type()}: ${dialog.defaultValue()}`;
      });
      await page.getByLabel(`Move session ${client.id}`).click();
      return await asked;
    };
    assert.equal(await move(null), "prompt: ");
    assert.equal(await move("tcp://b.example:1248"), "prompt: ");
    await client.until(() => client.moves.length === 1);
    await move("");
    await client.until(() => client.moves.length === 2);
    assert.deepEqual(client.moves, ["tcp://b.example:1248", ""], "what was dismissed is not sent");
    await page.getByLabel("Version").selectOption("1");
    await page.locator(`tr[data-id="${client.id}"]`).waitFor({ state: "detached" });
    await page.getByLabel("Version").selectOption("2");
    await page.locator(`tr[data-id="${old.id}"]`).waitFor({ state: "detached" });
    await page.locator(`tr[data-id="${client.id}"] td.attached`).waitFor();
    client.stream.detach("cut");
    await page.locator(`tr[data-id="${client.id}"] td.detached`).waitFor();
    assert.equal(await page.getByLabel(`Move session ${client.id}`).count(), 0, "there is nobody to tell");
  });
});

Deno.test("the manager's page shows a cluster, whose sessions are where, and at a glance which node is not there", {
  ignore: CHROMIUM === undefined,
  sanitizeOps: false,
  sanitizeResources: false,
}, async () => {
  await using cluster = await LocalCluster.start();
  const { nodes: [a, b], edge, ports } = cluster;
  await withPage(a!, async (page) => {
    const status = page.getByRole("status");
    const nodeRow = page.locator("#nodes tr");
    await page.getByText(/^Cluster game: this is node 0, epoch \d+ at 127\.0\.0\.1:\d+; nodes are found by static$/)
      .waitFor();
    await page.locator("#nodes td.up").waitFor();
    assert.deepEqual((await nodeRow.locator("td").allTextContents()).slice(3, 6), [
      `127.0.0.1:${ports[1]}`,
      "yes",
      "100",
    ]);
    await page.locator("#edges", { hasText: /^edge 127\.0\.0\.1:\d+$/ }).waitFor();
    assert.equal(await status.textContent(), "");
    using own = await RawClient.open(a!.addresses[0]!);
    using other = await AckedClient.open(b!.addresses[0]!);
    using carried = await AckedClient.open(edge.addresses[0]!);
    const rowOf = (id: number) => page.locator(`tr[data-id="${id}"] td.attached`);
    for (const { id } of [own, other, carried]) await rowOf(id).waitFor();
    const { node, via } = await cells(page, other.id);
    assert.deepEqual([(await cells(page, own.id)).node, node, via], ["0", "1", "–"]);
    assert.match((await cells(page, carried.id)).via!, /^edge 127\.0\.0\.1:\d+$/);
    await page.getByLabel("Node").selectOption("1");
    await rowOf(own.id).waitFor({ state: "detached" });
    await rowOf(other.id).waitFor();
    await page.getByLabel(`End session ${other.id}`).click();
    await rowOf(other.id).waitFor({ state: "detached" });
    await page.getByLabel("Node").selectOption("");
    await rowOf(own.id).waitFor();
    b!.kill("SIGSTOP");
    await page.locator("#nodes tr.fault td.away").waitFor();
    await page.locator("#status.bad", { hasText: "node 1 is away" }).waitFor();
    await page.getByText("not those of node 1: it is away").waitFor();
    const screenshot = Deno.env.get("GOSCON_CLUSTER_SCREENSHOT");
    if (screenshot) await page.screenshot({ path: screenshot });
    b!.kill("SIGKILL");
    await page.locator("#status.bad", { hasText: "node 1 is not there" }).waitFor();
    cluster.nodes.push(await cluster.node(1));
    await page.locator("#nodes tr.former td", { hasText: "refused" }).waitFor();
    await page.locator("#status:not(.bad)").waitFor({ state: "attached" });
  });
});

Deno.test("the manager's page of one that is alone shows nothing of a cluster", {
  ignore: CHROMIUM === undefined,
  sanitizeOps: false,
  sanitizeResources: false,
}, async () => {
  await using goscon = await Goscon.start(`
    listen: [{tcp: "127.0.0.1:0"}]
    manager: 127.0.0.1:0
    hosts: [{addr: "builtin:echo"}]
  `);
  await withPage(goscon, async (page) => {
    using client = await RawClient.open(goscon.addresses[0]!);
    await page.locator(`tr[data-id="${client.id}"] td.attached`).waitFor();
    assert(await page.locator(".clustered-only").count() > 0);
    assert.equal(await page.locator(".clustered-only").filter({ visible: true }).count(), 0);
  });
});

Deno.test(
  "the manager's page puts first what is wrong, be it that another one has the slot of this one, and not who had a slot before",
  {
    ignore: CHROMIUM === undefined,
    sanitizeOps: false,
    sanitizeResources: false,
  },
  async () => {
    await using goscon = await Goscon.start(`
    listen: [{tcp: "127.0.0.1:0"}]
    manager: 127.0.0.1:0
    hosts: [{addr: "builtin:echo"}]
  `);
    const conflict = "slot 1 and epoch 5 are those of another instance, too";
    const others = [
      describedNode(1, { epoch: 4, instance: "mine before", state: "refused" }),
      describedNode(2, { epoch: 3 }),
      describedNode(2, { epoch: 2, instance: "before", state: "away" }),
      describedNode(3, { state: "unknown" }),
    ];
    const twin = describedNode(1, { epoch: 5, instance: "twin" });
    const told = [
      { cluster: clusterInfo(others), first: "3", status: "node 3 is unknown" },
      {
        cluster: clusterInfo([twin, ...others]),
        first: "1",
        status: "node 1 has the slot of this one, node 3 is unknown",
      },
      { cluster: clusterInfo([twin, ...others], { self: { conflict } }), first: "1", status: conflict },
      { cluster: clusterInfo(others.slice(0, 3)), first: "1", status: "" },
    ];
    await withPage(goscon, async (page) => {
      for (const { cluster, first, status } of told) {
        await page.route("**/status", async (route) => {
          const answer = await route.fetch();
          await route.fulfill({ json: { ...await answer.json(), cluster } });
        });
        await page.locator("#status", { hasText: new RegExp(`^${status}$`) }).waitFor({ state: "attached" });
        assert.equal(await page.locator("#status.bad").count(), status ? 1 : 0);
        assert.equal(await page.locator("#nodes tr td").first().textContent(), first);
        await page.unrouteAll({ behavior: "wait" });
      }
    });
  },
);
