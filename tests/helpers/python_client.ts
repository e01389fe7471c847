import { join } from "node:path";

const PROGRAM = join(import.meta.dirname!, "..", "..", "lib", "docs", "scp2_client.py");

/** The example client in Python, as a process; it goes to the session of that target at `address`. */
export function spawnPythonClient(address: string, target = ""): Deno.ChildProcess {
  const [host, port] = address.split(":") as [string, string];
  const args = ["-B", PROGRAM, host, port, target];
  return new Deno.Command("python3", { args, stdin: "piped", stdout: "piped", stderr: "piped" }).spawn();
}

/** Runs it with that input to its end. */
export async function runPythonClient(
  address: string,
  input: Uint8Array<ArrayBuffer>,
): Promise<{ code: number; out: Uint8Array; err: string }> {
  const child = spawnPythonClient(address);
  // It may end before it has read all: its code says so.
  const feeding = new Blob([input]).stream().pipeTo(child.stdin).catch(() => {});
  const { code, stdout, stderr } = await child.output();
  await feeding;
  return { code, out: stdout, err: new TextDecoder().decode(stderr) };
}
