import assert from "node:assert/strict";
import { join } from "node:path";
import { assertSame, lines, numbers, pathOf, word, type Written, written } from "../helpers/carried.ts";
import { OLD_RUNTIME } from "../helpers/goscon.ts";
import { HAS_GIT, HAS_NC, HAS_RSYNC } from "../helpers/programs.ts";
import { Backend, readToEnd } from "../helpers/backend.ts";
import { type Link, writeAll } from "../../lib/link/link.ts";
import { HAS_SSH, Sshd } from "../helpers/sshd.ts";

const MIB = 2 ** 20;
/** Nobody's settings but the test's. */
const GIT = { GIT_CONFIG_GLOBAL: "/dev/null", GIT_CONFIG_NOSYSTEM: "1", GIT_TERMINAL_PROMPT: "0" };
const AUTHOR = ["-c", "user.name=one", "-c", "user.email=one@example.org"];

const portOf = (address: string) => address.split(":")[1]!;
const git = (...args: string[]) => written(["git", ...args], undefined, GIT);

Deno.test({
  name: "ssh has 4 MiB of lines sorted far away, over a link that is cut every second",
  ignore: !HAS_SSH || OLD_RUNTIME,
  fn: async () => {
    await using sshd = await Sshd.start();
    await using path = await pathOf(sshd.address, 2);
    const input = lines(90_000, (i) => `${word(i)}\n`);
    assert(input.length > 4 * MIB);
    const sorted = (port: string) => written([...sshd.ssh(port), "127.0.0.1", "LC_ALL=C sort -r"], input);
    const direct = await sorted(portOf(sshd.address));
    assert.equal(direct.bytes, input.length);
    assertSame(path, { direct, through: await sorted(path.port) });
    assert.equal(path.sessions, 1);
  },
});

Deno.test({
  name: "rsync carries a tree over ssh, there and back, over a link that is reset every second",
  ignore: !HAS_SSH || !HAS_RSYNC || OLD_RUNTIME,
  fn: async () => {
    await using sshd = await Sshd.start();
    await using path = await pathOf(sshd.address, 2, "--rst");
    const dir = (name: string) => join(sshd.dir, name);
    await Deno.mkdir(dir("here/deep"), { recursive: true });
    await Deno.writeFile(dir("here/large"), numbers(3 * MIB));
    for (let i = 0; i < 100; i++) await Deno.writeFile(dir(`here/deep/${i}`), numbers(12_000).slice(i));
    const rsync = (from: string, to: string) => written(["rsync", "-a", "-e", sshd.ssh(path.port).join(" "), from, to]);
    await rsync(`${dir("here")}/`, `127.0.0.1:${dir("there")}/`);
    await rsync(`127.0.0.1:${dir("there")}/`, `${dir("back")}/`);
    const direct = await treeOf(dir("here"));
    assertSame(path, { direct, through: await treeOf(dir("back")) });
    assert.equal(path.sessions, 2);
  },
});

Deno.test({
  name: "git clones a repository over ssh, over a link that is cut every second",
  ignore: !HAS_SSH || !HAS_GIT || OLD_RUNTIME,
  fn: async () => {
    await using sshd = await Sshd.start();
    await using path = await pathOf(sshd.address, 1);
    const [from, to] = [join(sshd.dir, "from"), join(sshd.dir, "to")];
    await git("init", "-q", from);
    const all = numbers(4.5 * MIB); // which git cannot make small
    for (let i = 0; i < 9; i++) {
      await Deno.writeFile(join(from, `file${i}`), all.slice(i * MIB / 2, (i + 1) * MIB / 2));
      await git("-C", from, "add", ".");
      await git("-C", from, ...AUTHOR, "commit", "-q", "-m", `${i}`);
    }
    const command = { ...GIT, GIT_SSH_COMMAND: sshd.ssh(path.port).join(" ") };
    await written(["git", "clone", "-q", `ssh://127.0.0.1:${path.port}${from}`, to], undefined, command);
    await git("-C", to, "fsck", "--strict", "--no-progress");
    const log = (dir: string) => git("-C", dir, "log", "--stat", "--format=fuller");
    const direct = await log(from);
    assertSame(path, { direct, through: await log(to) });
    assert.equal((await git("-C", to, "status", "--porcelain")).bytes, 0);
    assert.equal(path.sessions, 1);
  },
});

Deno.test({
  name: "nc -N ends its direction, and gets the answer to all that it sent, over a link that is cut every second",
  ignore: !HAS_NC || OLD_RUNTIME,
  fn: async () => {
    await using backend = new Backend().serve(sort);
    await using path = await pathOf(backend.address, 2);
    const input = lines(90_000, (i) => `${word(i)}\n`);
    const nc = (port: string) => written(["nc", "-N", "127.0.0.1", port], input);
    const direct = await nc(`${backend.port}`);
    assert.equal(direct.bytes, input.length);
    assertSame(path, { direct, through: await nc(path.port) });
    const { code } = await path.bridge.event(({ message }) => message === "bridge session ended");
    assert.equal(code, 0);
  },
});

/** Answers, when all has come, with the lines of it in their order. */
async function sort(link: Link): Promise<void> {
  const text = new TextDecoder().decode(await readToEnd(link));
  const sorted = text.trimEnd().split("\n").toSorted().map((line) => `${line}\n`).join("");
  await writeAll(link, new TextEncoder().encode(sorted));
  await link.closeWrite();
}

/** What is in a directory: names, modes, times and contents. */
async function treeOf(dir: string): Promise<Written> {
  const script =
    `cd "$1" && find . -printf '%P %m %T@\\n' | LC_ALL=C sort && find . -type f | LC_ALL=C sort | xargs cat`;
  return await written(["sh", "-c", script, "sh", dir]);
}
