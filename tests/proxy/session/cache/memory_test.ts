import assert from "node:assert/strict";
import { memoryLimit } from "../../../../lib/proxy/session/cache/memory.ts";

const GIB = 2 ** 30;

const CASES: [name: string, files: Record<string, string>, limit: number][] = [
  ["without control groups", {}, 8 * GIB],
  ["version 2, of its own group", {
    "/proc/self/cgroup": "0::/system.slice/goscon.service\n",
    "/sys/fs/cgroup/system.slice/goscon.service/memory.max": `${GIB}\n`,
    "/sys/fs/cgroup/system.slice/memory.max": "max\n",
  }, GIB],
  ["version 2, of a group above", {
    "/proc/self/cgroup": "0::/a/b\n",
    "/sys/fs/cgroup/a/b/memory.max": `${4 * GIB}\n`,
    "/sys/fs/cgroup/a/memory.max": `${2 * GIB}\n`,
  }, 2 * GIB],
  ["version 2, in a container", { "/proc/self/cgroup": "0::/\n", "/sys/fs/cgroup/memory.max": `${GIB}\n` }, GIB],
  ["version 2, without a limit", { "/proc/self/cgroup": "0::/\n", "/sys/fs/cgroup/memory.max": "max\n" }, 8 * GIB],
  ["version 2, with more than there is", {
    "/proc/self/cgroup": "0::/\n",
    "/sys/fs/cgroup/memory.max": `${16 * GIB}\n`,
  }, 8 * GIB],
  ["version 1", {
    "/proc/self/cgroup": "12:cpu,cpuacct:/x\n5:memory:/docker/abc\n",
    "/sys/fs/cgroup/memory/docker/abc/memory.limit_in_bytes": `${GIB}\n`,
  }, GIB],
  ["version 1, in a container whose path is that of outside", {
    "/proc/self/cgroup": "5:memory:/docker/abc\n0::/docker/abc\n",
    "/sys/fs/cgroup/memory/memory.limit_in_bytes": `${GIB}\n`,
  }, GIB],
  ["version 1, without a limit", {
    "/proc/self/cgroup": "5:memory:/\n",
    "/sys/fs/cgroup/memory/memory.limit_in_bytes": "9223372036854771712\n",
  }, 8 * GIB],
];

for (const [name, files, limit] of CASES) {
  Deno.test(`memoryLimit(): ${name}`, () => {
    const read = (path: string) => {
      if (!(path in files)) throw new Deno.errors.NotFound(path);
      return files[path]!;
    };
    assert.equal(memoryLimit({ total: 8 * GIB, read }), limit);
  });
}

Deno.test("memoryLimit() is something on this machine, and no more than it has", () => {
  assert(memoryLimit() > 2 ** 24);
  assert(memoryLimit() <= Deno.systemMemoryInfo().total);
});
