import assert from "node:assert/strict";
import type { Browser, Page } from "playwright-core";
import { Goscon } from "../helpers/goscon.ts";
import { CHROMIUM, launchChromium } from "./chromium.ts";
import { pattern } from "../helpers/random.ts";
import { RawClient } from "../helpers/raw_client.ts";

/** The text of each cell of a session's row, by the head of its column. */
async function cells(page: Page, id: number): Promise<Record<string, string>> {
  const heads = await page.locator("table").nth(1).locator("th").allTextContents();
  const values = await page.locator(`tr[data-id="${id}"] td`).allTextContents();
  return Object.fromEntries(heads.map((head, i) => [head, values[i] ?? ""]));
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
