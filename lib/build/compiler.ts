import { join } from "node:path";

/** The top of the project. */
export const ROOT = join(import.meta.dirname!, "..", "..");
/** Where executables go. */
export const DIST = join(ROOT, "dist");

/**
 * What the executable may do. Who calls the C library may do all anyway; and what /proc says of the process, as its
 * descriptors, only those are told who may do all.
 */
export const PERMISSIONS = ["--allow-all"];

/**
 * The most memory, in MiB, that the young objects of a thread take before those that are garbage are found: by default it grows to
 * twice that and more while sessions come, and stays so. `deno task start` has the same.
 */
const V8_FLAGS = "--v8-flags=--max-semi-space-size=8";

/** Bytes of stack for the threads of the compiler: with its default of 2 MiB Deno 2.6 overflows it. */
const STACK = String(16 * 2 ** 20);

/** An executable that cannot be made: its message is one sentence. */
export class CompileError extends Error {}

/** The arguments of `deno` that make `output` of main.ts, with `flags` of deno compile. `version`: of Deno. */
export function compileArguments(output: string, flags: readonly string[], version: string): string[] {
  // A daemon is started once: a code cache would only be a file left lying about.
  const fixed = ["compile", "--quiet", "--no-code-cache", V8_FLAGS, ...PERMISSIONS];
  // Deno 2.6 does not read `unstable` of deno.json here, and has imports of text switched off.
  const old = version.startsWith("2.6.") ? ["--unstable-net", "--unstable-raw-imports"] : [];
  // A worker is named by an address, which no import shows.
  const worker = ["--include", join(ROOT, "lib/proxy/cluster/threads/worker.ts")];
  return [...fixed, ...old, ...worker, ...flags, "--output", output, join(ROOT, "main.ts")];
}

/** The name of the executable for a target, or for this machine. */
export function executable(name: string, target: string = Deno.build.target): string {
  return target.includes("windows") ? `${name}.exe` : name;
}

/** What was asked for with `--target`, as one argument or as two. */
export function targetOf(flags: readonly string[]): string | undefined {
  const at = flags.indexOf("--target");
  return at >= 0 ? flags[at + 1] : flags.find((flag) => flag.startsWith("--target="))?.slice("--target=".length);
}

/** What to say of a failed `deno compile`, of its standard error: a missing runtime is told in one sentence. */
export function failureOf(stderr: string, { version, target }: { version: string; target: string }): string {
  if (!/denort|base binary/.test(stderr)) return stderr.trim();
  return `Cannot compile for ${target}: the runtime of Deno ${version} that goes into the executable (denort) could not ` +
    `be downloaded; where there is no way to Deno's download site, set DENORT_BIN to a denort of that version and target.`;
}

/** Makes `output`, for the target that the flags name or for this machine. Throws `CompileError`. */
export async function compile(output: string, flags: readonly string[]): Promise<void> {
  const { deno: version } = Deno.version;
  const target = targetOf(flags) ?? Deno.build.target;
  const args = compileArguments(output, flags, version);
  const options = { args, cwd: ROOT, env: { RUST_MIN_STACK: STACK }, stderr: "piped" } as const;
  const { success, stderr } = await new Deno.Command(Deno.execPath(), options).output();
  if (!success) throw new CompileError(failureOf(new TextDecoder().decode(stderr), { version, target }));
}

/** Runs a task, and says in one sentence why it failed. */
export async function runTask(task: () => Promise<void>): Promise<never> {
  try {
    await task();
    Deno.exit(0);
  } catch (error) {
    if (!(error instanceof CompileError)) throw error;
    console.error(error.message);
    Deno.exit(1);
  }
}
