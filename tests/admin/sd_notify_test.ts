import assert from "node:assert/strict";
import { join } from "node:path";

const MODULE = new URL("../../lib/admin/sd_notify.ts", import.meta.url).href;

/** What systemd is told of a reload by a process with these permissions. */
async function toldOfReload(permissions: string[]): Promise<string[]> {
  const dir = await Deno.makeTempDir();
  const path = join(dir, "notify.sock");
  const socket = Deno.listenDatagram({ transport: "unixpacket", path });
  const code = `
    import { openNotifier } from "${MODULE}";
    const notifier = openNotifier(console, () => true);
    notifier.reloading();
    notifier.ready();
    notifier.stopping();
    await notifier.close();
  `;
  const program = `data:application/typescript,${encodeURIComponent(code)}`;
  const args = ["run", "--quiet", "--no-prompt", "--unstable-net", ...permissions, program];
  const { code: exit } = await new Deno.Command(Deno.execPath(), { args, env: { NOTIFY_SOCKET: path } }).output();
  assert.equal(exit, 0);
  await socket.send(new TextEncoder().encode("over"), { transport: "unixpacket", path });
  const told: string[] = [];
  while (told.at(-1) !== "over") told.push(new TextDecoder().decode((await socket.receive())[0]));
  socket.close();
  await Deno.remove(dir, { recursive: true });
  return told.slice(0, -1);
}

const LINUX = { ignore: Deno.build.os !== "linux" };

Deno.test("systemd is told when a reload begins, and when it is over", LINUX, async () => {
  const [reloading, ...more] = await toldOfReload(["--allow-all"]);
  assert.match(reloading!, /^RELOADING=1\nMONOTONIC_USEC=\d+$/);
  assert.deepEqual(more, ["READY=1\nSTATUS=", "STOPPING=1"]);
});

Deno.test("systemd is told of no reload whose time cannot be told", LINUX, async () => {
  assert.deepEqual(await toldOfReload(["--allow-all", "--deny-ffi"]), ["READY=1\nSTATUS=", "STOPPING=1"]);
});
