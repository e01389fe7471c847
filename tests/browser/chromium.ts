import { type Browser, chromium } from "playwright-core";
import { isInstalled } from "../helpers/programs.ts";

/** The browser, where there is one. */
export const CHROMIUM = ["chromium", "google-chrome"].find((name) => isInstalled(name));

/** Without a sandbox, which root may not have, and without calls home. */
const ARGS = [
  "--no-sandbox",
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
];

/** Starts it without a window. The caller closes it. */
export async function launchChromium(): Promise<Browser> {
  const which = await new Deno.Command("which", { args: [CHROMIUM!] }).output();
  return await chromium.launch({ executablePath: new TextDecoder().decode(which.stdout).trim(), args: ARGS });
}
