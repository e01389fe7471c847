import assert from "node:assert/strict";
import type { Locator, Page } from "playwright-core";
import { Goscon } from "../helpers/goscon.ts";
import { CHROMIUM, launchChromium } from "./chromium.ts";

const COLUMNS = ["#resumable", "#plain"];

/** The number that a column shows last, and how many it has missed. */
async function shown(column: Locator): Promise<{ count: number; missing: number }> {
  const [count, missing] = await Promise.all([".count", ".missing"].map((part) => column.locator(part).textContent()));
  return { count: Number(count), missing: parseInt(missing!) };
}

/** Waits until each column shows a greater number. */
async function bothCountOn(page: Page): Promise<void> {
  await Promise.all(COLUMNS.map(async (id) => {
    const { count } = await shown(page.locator(id));
    const isMore = `Number(document.querySelector("${id} .count").textContent) > ${count || 0}`;
    await page.waitForFunction(isMore);
  }));
}

/** Waits until a column is so many numbers behind, or more; or no more than so many. */
async function isBehind(page: Page, id: string, { least = 0, most = Infinity }): Promise<void> {
  const behind = `parseInt(document.querySelector("${id} .behind").textContent)`;
  await page.waitForFunction(`${behind} >= ${least} && ${behind} <= ${most}`);
}

/** Keeps how the page looks, when that is wanted. */
async function shoot(page: Page, name: string): Promise<void> {
  const shots = Deno.env.get("GOSCON_SCREENSHOTS");
  if (shots) await page.screenshot({ path: `${shots}/${name}.png` });
}

/** A test with the page of a demo of its own, both of whose columns count. */
function testPage(name: string, run: (page: Page) => Promise<void>): void {
  // A browser is more than a test's own resources.
  const options = { ignore: CHROMIUM === undefined, sanitizeOps: false, sanitizeResources: false };
  Deno.test(`the demo's page: ${name}`, options, async () => {
    await using goscon = Goscon.spawn(["demo", "--listen", "127.0.0.1:0"]);
    const { message } = await goscon.event((e) => e.message.includes("http://"));
    const browser = await launchChromium();
    try {
      const page = await browser.newPage();
      const faults: string[] = [];
      page.on("pageerror", (error) => faults.push(error.message));
      await page.goto(/http:\/\/\S+/.exec(message)![0]);
      await bothCountOn(page);
      await run(page);
      assert.deepEqual(faults, []);
    } finally {
      await browser.close();
    }
  });
}

testPage("the session goes on after a cut and misses nothing, the plain WebSocket misses some", async (page) => {
  const [resumable, plain] = [page.locator("#resumable"), page.locator("#plain")];
  for (let cut = 1; cut <= 2; cut++) {
    await page.getByRole("button").click();
    await resumable.getByText("link lost").nth(cut - 1).waitFor();
    await resumable.getByText(/resumed after \d+ ms/).nth(cut - 1).waitFor();
    await bothCountOn(page);
    await page.locator("button:enabled").waitFor();
  }
  assert.equal((await shown(resumable)).missing, 0);
  assert((await shown(plain)).missing > 50, "the plain WebSocket missed too few");
  await shoot(page, "demo");
});

testPage(
  "over a slow line both get behind; a cut costs the plain WebSocket that, the session nothing",
  async (page) => {
    const [resumable, plain] = [page.locator("#resumable"), page.locator("#plain")];
    await page.getByText("8 KB/s", { exact: true }).click();
    for (const id of COLUMNS) {
      await page.locator(id).getByText(/^line: 8 KB\/s, [78]\.\d KB\/s in use$/).waitFor();
      await isBehind(page, id, { least: 100 });
    }
    await bothCountOn(page);
    assert.deepEqual([(await shown(resumable)).missing, (await shown(plain)).missing], [0, 0]);
    await page.getByRole("button").click();
    await resumable.getByText(/resumed after \d+ ms/).waitFor();
    await bothCountOn(page);
    await shoot(page, "demo_slow");
    await page.getByText("full speed", { exact: true }).click();
    await Promise.all(COLUMNS.map((id) => isBehind(page, id, { most: 10 })));
    assert.equal((await shown(resumable)).missing, 0);
    // More than in a cut alone.
    assert((await shown(plain)).missing > 110, "the plain WebSocket missed too few");
  },
);

testPage("over a dead line nothing comes and nobody is told; all comes when it lives again", async (page) => {
  await page.getByText("dead", { exact: true }).click();
  for (const id of COLUMNS) {
    await page.locator(id).getByText("line: dead, 0.0 KB/s in use").waitFor();
    await isBehind(page, id, { least: 40 });
    assert.equal(await page.locator(`${id} .state`).textContent(), "connected");
  }
  await page.getByText("32 KB/s", { exact: true }).click();
  await Promise.all(COLUMNS.map((id) => isBehind(page, id, { most: 10 })));
  for (const id of COLUMNS) assert.equal((await shown(page.locator(id))).missing, 0);
});
