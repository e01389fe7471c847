import assert from "node:assert/strict";
import type { Locator, Page } from "playwright-core";
import { Goscon } from "../helpers/goscon.ts";
import { CHROMIUM, launchChromium } from "./chromium.ts";

/** The number that a column shows last, and how many it has missed. */
async function shown(column: Locator): Promise<{ count: number; missing: number }> {
  const [count, missing] = await Promise.all([".count", ".missing"].map((part) => column.locator(part).textContent()));
  return { count: Number(count), missing: parseInt(missing!) };
}

/** Waits until a column shows a greater number. */
async function countsOn(page: Page, id: string): Promise<void> {
  const { count } = await shown(page.locator(id));
  const isMore = `Number(document.querySelector("${id} .count").textContent) > ${count || 0}`;
  await page.waitForFunction(isMore);
}

Deno.test("the demo's page: the session goes on after a cut and misses nothing, the plain WebSocket misses some", {
  ignore: CHROMIUM === undefined,
  // A browser is more than a test's own resources.
  sanitizeOps: false,
  sanitizeResources: false,
}, async () => {
  await using goscon = Goscon.spawn(["demo", "--listen", "127.0.0.1:0"]);
  const { message } = await goscon.event((e) => e.message.includes("http://"));
  const browser = await launchChromium();
  try {
    const page = await browser.newPage();
    const faults: string[] = [];
    page.on("pageerror", (error) => faults.push(error.message));
    await page.goto(/http:\/\/\S+/.exec(message)![0]);
    const [resumable, plain] = [page.locator("#resumable"), page.locator("#plain")];
    for (let cut = 1; cut <= 2; cut++) {
      await Promise.all([countsOn(page, "#resumable"), countsOn(page, "#plain")]);
      await page.getByRole("button").click();
      await resumable.getByText("link lost").nth(cut - 1).waitFor();
      await resumable.getByText(/resumed after \d+ ms/).nth(cut - 1).waitFor();
      await Promise.all([countsOn(page, "#resumable"), countsOn(page, "#plain")]);
      await page.locator("button:enabled").waitFor();
    }
    assert.equal((await shown(resumable)).missing, 0);
    assert((await shown(plain)).missing > 50, "the plain WebSocket missed too few");
    assert.deepEqual(faults, []);
    const shots = Deno.env.get("GOSCON_SCREENSHOTS");
    if (shots) await page.screenshot({ path: `${shots}/demo.png` });
  } finally {
    await browser.close();
  }
});
