import assert from "node:assert/strict";
import { type DescriptorLimit, descriptorLimit, raiseDescriptorLimit } from "../../lib/link/descriptor_limit.ts";
import { HAS_PRLIMIT } from "../helpers/programs.ts";
import { TestLog } from "../helpers/proxy.ts";

const MODULE = new URL("../../lib/link/descriptor_limit.ts", import.meta.url).href;

/** Runs `code` in a process whose soft limit is 256, with `raise` to raise it and `limit` to look: what it prints. */
async function runLimited(code: string, permissions: string[] = ["--allow-all"]): Promise<string> {
  const setup = `
    import { descriptorLimit, raiseDescriptorLimit } from "${MODULE}";
    const limit = () => JSON.stringify(descriptorLimit());
    const raise = () => raiseDescriptorLimit({ warning: (...said) => console.log(JSON.stringify(said)) });
    // The runtime has raised it, as an executable's does not.
    console.log("started");
    await Deno.stdin.read(new Uint8Array(1));
  `;
  const args = [
    "run",
    "--quiet",
    "--no-prompt",
    ...permissions,
    `data:application/typescript,${encodeURIComponent(setup + code)}`,
  ];
  await using child = new Deno.Command(Deno.execPath(), { args, stdin: "piped", stdout: "piped" }).spawn();
  const out = child.stdout.pipeThrough(new TextDecoderStream()).getReader();
  let said = "";
  for (;;) {
    const { value, done } = await out.read();
    if (done) return said.replace("started\n", "");
    said += value;
    if (said !== "started\n") continue;
    prlimit(child.pid, "--nofile=256:");
    const writer = child.stdin.getWriter();
    await writer.write(new Uint8Array(1));
    await writer.close();
  }
}

function prlimit(pid: number, ...args: string[]): string {
  const { stdout } = new Deno.Command("prlimit", { args: ["--pid", String(pid), ...args] }).outputSync();
  return new TextDecoder().decode(stdout);
}

const PRLIMIT = { ignore: !HAS_PRLIMIT };

Deno.test("raiseDescriptorLimit() raises the soft limit to the hard one", PRLIMIT, async () => {
  const out = await runLimited(`console.log(limit()); raise(); console.log(limit())`);
  const [before, after] = out.trim().split("\n").map((line) => JSON.parse(line) as DescriptorLimit);
  assert.equal(before!.soft, 256);
  assert.deepEqual(after, { soft: before!.hard, hard: before!.hard });
});

Deno.test("descriptorLimit() is what prlimit says", PRLIMIT, () => {
  const { soft, hard } = descriptorLimit()!;
  const said = prlimit(Deno.pid, "--nofile", "--noheadings", "--raw", "--output", "SOFT,HARD");
  assert.equal(said.trim(), `${soft} ${hard}`);
});

Deno.test("raiseDescriptorLimit() says nothing where nothing is told", PRLIMIT, async () => {
  assert.equal(await runLimited(`console.log(limit()); raise()`, ["--allow-read", "--allow-import"]), "undefined\n");
});

Deno.test("raiseDescriptorLimit() warns, when it cannot, of how many sessions there can be", () => {
  const log = new TestLog();
  const wanted: DescriptorLimit[] = [];
  const set = (limit: DescriptorLimit) => wanted.push(limit) > 1;
  const read = () => ({ soft: 1024, hard: 4096 });
  raiseDescriptorLimit(log, { read, set });
  const event = "the limit of descriptors cannot be raised";
  assert.deepEqual(log.events, [{ event, limit: 1024, hard: 4096, sessions: 512 }]);
  raiseDescriptorLimit(log, { read, set });
  assert.deepEqual(wanted, [{ soft: 4096, hard: 4096 }, { soft: 4096, hard: 4096 }]);
  raiseDescriptorLimit(log, {
    read: () => ({ soft: 4096, hard: 4096 }),
    set: () => assert.fail("it is as high as can be"),
  });
  raiseDescriptorLimit(log, { read: () => undefined, set: () => assert.fail("nothing is told") });
  assert.equal(log.events.length, 1);
});
