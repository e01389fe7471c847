import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { scatter } from "../../lib/random.ts";
import { RoughPath } from "./rough_path.ts";

/** What a program wrote: how much, and the hash of it. */
export interface Written {
  bytes: number;
  hash: string;
}

/** Runs a program that must succeed and complain of nothing. `env`: more of its environment. */
export async function written(
  [command, ...args]: string[],
  input?: string,
  env: Record<string, string> = {},
): Promise<Written> {
  const stdin = input === undefined ? "null" : "piped";
  const child = new Deno.Command(command!, { args, env, stdin, stdout: "piped", stderr: "piped" }).spawn();
  const said = new Response(child.stderr).text();
  const feeding = input === undefined ? undefined : new Blob([input]).stream().pipeTo(child.stdin);
  const hash = createHash("sha256");
  let bytes = 0;
  for await (const chunk of child.stdout) {
    hash.update(chunk);
    bytes += chunk.length;
  }
  const { code } = await child.status;
  await feeding?.catch(() => {}); // it ended before it had read all: its code says so
  assert.deepEqual([code, await said], [0, ""], command);
  return { bytes, hash: hash.digest("hex") };
}

/**
 * A path whose relay carries `rate` MiB a second and cuts each connection within one second. Over `4 * rate` MiB there are
 * three cuts or more, however fast the machine is: no connection carries more than 1.1 times the rate.
 */
export async function pathOf(backend: string, rate: number, ...flags: string[]): Promise<RoughPath> {
  const path = await RoughPath.start({
    backend,
    // The relay is slow: all that kernels take from the proxy for it is lost with each cut.
    reuseBuffer: "64MiB",
    flaky: ["--cut-every", "1s", "--rate", `${rate}MiB`, ...flags],
  });
  console.log(`GOSCON_SEED=${path.seed} cuts after the same times`);
  return path;
}

/** It was the same as without the path, in version 2, over a link that was cut often enough. */
export function assertSame(path: RoughPath, { through, direct }: { through: Written; direct: Written }): void {
  console.log(`${through.bytes} bytes, ${path.resumes} resumes`);
  assert.deepEqual(through, direct);
  assert.deepEqual(new Set(path.versions), new Set([2]));
  assert(path.resumes >= 3, `only ${path.resumes} resumes`);
}

/** So many lines, no two alike. */
export function lines(count: number, line: (number: number) => string): string {
  return Array.from({ length: count }, (_, i) => line(i)).join("");
}

/** Another one for each number. */
export const word = (number: number) => scatter(number).toString(16).padStart(8, "0").repeat(6);

/** So many bytes of numbers, none of which comes twice. */
export function numbers(bytes: number): Uint8Array<ArrayBuffer> {
  const all = new Uint32Array(bytes / 4);
  for (let i = 0; i < all.length; i++) all[i] = scatter(i);
  return new Uint8Array(all.buffer);
}
