import assert from "node:assert/strict";
import { dirname, join } from "node:path";
import { Door, enter } from "../../../lib/admin/upgrade/door.ts";
import { DescriptorCalls } from "../../../lib/link/engine/passing/descriptor_calls.ts";
// Opens the C library, which stays open.
import "../../helpers/engine.ts";
import { ownDescriptors } from "../../helpers/own_descriptors.ts";

const LINUX = { ignore: Deno.build.os !== "linux" };
if (Deno.build.os === "linux") DescriptorCalls.open();

Deno.test("a door is in a directory that is its user's alone, and leaves nothing behind", LINUX, async () => {
  const before = ownDescriptors();
  const door = new Door(() => assert.fail());
  assert.equal(Deno.statSync(dirname(door.path)).mode! & 0o777, 0o700);
  const { parcel, close } = enter(door.path);
  const other = await door.accept();
  await parcel.send("hello");
  using message = (await other.receive())!;
  assert.equal(message.data, "hello");
  await close();
  // Also when whoever made it was killed.
  assert.throws(() => Deno.statSync(dirname(door.path)), Deno.errors.NotFound);
  await door.close();
  const unused = new Door(() => assert.fail());
  await unused.close();
  assert.throws(() => Deno.statSync(dirname(unused.path)), Deno.errors.NotFound);
  assert.throws(() => enter(door.path), { code: "ENOENT" });
  assert.deepEqual(ownDescriptors(), before);
});

const AS_ROOT = { ignore: Deno.build.os !== "linux" || Deno.uid() !== 0 };

// It may not go where the user of this process has programs.
const PIPED = { cwd: "/", env: { PATH: "/usr/bin:/bin" }, stdin: "piped", stdout: "piped" } as const;

/** Runs a program of Python as the user `nobody`. */
function asNobody(program: string, ...args: string[]): Deno.ChildProcess {
  const command = ["--reuid=65534", "--clear-groups", "--", "python3", "-c", program, ...args];
  return new Deno.Command("setpriv", { args: command, ...PIPED }).spawn();
}

Deno.test("a door lets nobody in but its own user, and nobody enters another's", AS_ROOT, async () => {
  const stranger = Promise.withResolvers<number>();
  const door = new Door(stranger.resolve);
  // As if its directory were open to all.
  Deno.chmodSync(dirname(door.path), 0o755);
  Deno.chmodSync(door.path, 0o777);
  const accepting = door.accept();
  const visitor = asNobody("import socket, sys; socket.socket(socket.AF_UNIX).connect(sys.argv[1])", door.path);
  assert.equal(await stranger.promise, 65534);
  await visitor.stdin.close();
  assert.equal((await visitor.output()).code, 0);
  const { close } = enter(door.path);
  await accepting;
  await close();
  await door.close();

  const dir = Deno.makeTempDirSync();
  Deno.chownSync(dir, 65534, 65534);
  const path = join(dir, "socket");
  const listen =
    "import socket, sys; s = socket.socket(socket.AF_UNIX); s.bind(sys.argv[1]); s.listen(); print(1, flush=True); sys.stdin.read()";
  const host = asNobody(listen, path);
  const out = host.stdout.getReader();
  await out.read();
  assert.throws(() => enter(path), /is of another user, 65534/);
  await host.stdin.close();
  await out.cancel();
  await host.status;
  Deno.removeSync(dir, { recursive: true });
});
