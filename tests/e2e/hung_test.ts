import assert from "node:assert/strict";
import { join } from "node:path";
import { Goscon } from "../helpers/goscon.ts";

/** Stops one thread of a process, as a debugger does, until standard input ends. */
const STOPPER = `
import ctypes, sys
ptrace = ctypes.CDLL(None, use_errno=True).ptrace
thread = int(sys.argv[1])
assert ptrace(0x4206, thread, None, None) == 0, "PTRACE_SEIZE"
assert ptrace(0x4207, thread, None, None) == 0, "PTRACE_INTERRUPT"
print("stopped", flush=True)
sys.stdin.read()
`;

async function canTrace(): Promise<boolean> {
  if (Deno.build.os !== "linux") return false;
  const child = new Deno.Command("sleep", { args: ["60"] }).spawn();
  try {
    await using _ = await stop(child.pid);
    return true;
  } catch {
    return false;
  } finally {
    child.kill("SIGKILL");
    await child.status;
  }
}

async function stop(thread: number): Promise<AsyncDisposable> {
  const args = ["-c", STOPPER, String(thread)];
  const child = new Deno.Command("python3", { args, stdin: "piped", stdout: "piped", stderr: "null" }).spawn();
  const reader = child.stdout.getReader();
  const { done } = await reader.read();
  const end = async () => {
    await child.stdin.close();
    await reader.cancel();
    await child.status;
  };
  if (!done) return { [Symbol.asyncDispose]: end };
  await end();
  throw new Error(`Cannot stop thread ${thread}`);
}

/** The threads of a process that are workers. */
function workersOf(pid: number): number[] {
  const tasks = [...Deno.readDirSync(`/proc/${pid}/task`)].map(({ name }) => Number(name));
  return tasks.filter((task) => /^worker/.test(Deno.readTextFileSync(`/proc/${pid}/task/${task}/comm`)));
}

const CAN_TRACE = await canTrace();

Deno.test("a thread that stands still: healthz, metrics, the watchdog and SIGTERM notice", {
  ignore: !CAN_TRACE,
}, async () => {
  const path = join(await Deno.makeTempDir(), "notify.sock");
  const socket = Deno.listenDatagram({ transport: "unixpacket", path });
  const states: string[] = [];
  const listening = (async () => {
    for await (const [bytes] of socket) states.push(new TextDecoder().decode(bytes));
  })();
  await using goscon = await Goscon.start(
    `listen: [{tcp: "127.0.0.1:0"}]\nmanager: 127.0.0.1:0\nhosts: [{addr: "builtin:echo"}]\n` +
      `workers: 2\nshutdown_timeout: 100ms\n`,
    { env: { NOTIFY_SOCKET: path, WATCHDOG_USEC: "50000" } },
  );
  assert.equal((await goscon.manager("GET", "/healthz")).status, 200);
  const [thread] = workersOf(goscon.pid);
  const stopped = await stop(thread!);
  while ((await goscon.manager("GET", "/healthz")).status === 200) await new Promise((r) => setTimeout(r, 50));
  const { status, text } = await goscon.manager("GET", "/metrics");
  assert.equal(status, 200);
  assert.deepEqual(text.match(/^goscon_worker_up\{.*$/gm)!.map((line) => line.split(" ")[1]).sort(), ["0", "1"]);
  const before = states.length;
  // A ping each 25 ms: for so long there is none.
  for (let round = 0; round < 20; round++) await goscon.manager("GET", "/healthz");
  assert.equal((await goscon.manager("POST", "/reload")).status, 422);
  goscon.kill("SIGTERM");
  await goscon.event((e) => e.message === "stopping");
  assert.deepEqual(states.slice(before).filter((state) => state === "WATCHDOG=1").length <= 1, true);
  await goscon.event((e) => e.message === "stopped");
  // Who traces a thread has to see its end.
  await stopped[Symbol.asyncDispose]();
  assert.equal(await goscon.ended(), 0);
  socket.close();
  await listening;
});
