import assert from "node:assert/strict";
import { join } from "node:path";
import { Stage } from "../../helpers/engine_pair.ts";
import { NATIVE, WORKING } from "../../helpers/engine.ts";
import { ownDescriptors } from "../../helpers/own_descriptors.ts";
import { turn } from "../../helpers/turns.ts";

const LINUX = { ignore: Deno.build.os !== "linux" };
const CHILD = join(import.meta.dirname!, "..", "..", "helpers", "engine_child.ts");

function start(...args: string[]): Deno.ChildProcess {
  return new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "--quiet", CHILD, ...args],
    stdin: args[0] === "signals" ? "piped" : "null",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
}

/** What a scene of the child came to. */
async function resultOf(child: Pick<Deno.ChildProcess, "output">): Promise<unknown> {
  const { code, signal, stdout, stderr } = await child.output();
  const [out, err] = [stdout, stderr].map((bytes) => new TextDecoder().decode(bytes));
  assert.equal(code, 0, `signal ${signal}: ${err}`);
  return JSON.parse(out!);
}

for (const name of WORKING) {
  Deno.test(
    `${name}: clients wait while there are no descriptors, a failure is told once a period, and they are served then`,
    LINUX,
    async () => {
      const reason = "Too many open files (os error 24)";
      assert.deepEqual(await resultOf(start("accept", name)), {
        early: 0,
        accepted: 5,
        failures: [5, 10, 20, 40].map((retry_ms) => ({ reason, retry_ms })),
      });
    },
  );

  Deno.test(`${name} says that there are no descriptors, and goes on when there are`, LINUX, async () => {
    assert.deepEqual(await resultOf(start("connect", name)), {
      tcp: "EMFILE",
      unix: "EMFILE",
      listen: "Cannot listen on 127.0.0.1:0: Too many open files (os error 24)",
      other: "deno",
      why: ["uring", "epoll"].map((other) => `no ${other}: Too many open files (os error 24)`).join("; "),
    });
  });

  Deno.test(`${name} carries every byte while signals come all the time`, LINUX, async () => {
    const child = start("signals", name);
    const stderr = child.stderr.pipeThrough(new TextDecoderStream()).getReader();
    let said = "";
    // Or until it has said all.
    const says = async (word: string) => {
      for (let next = await stderr.read(); !next.done; next = await stderr.read()) {
        said += next.value;
        if (said.includes(word)) return;
      }
    };
    await says("ready");
    let isOver = false;
    const over = says("over").finally(() => isOver = true);
    while (!isOver) {
      try {
        child.kill("SIGUSR2");
      } catch {
        break; // it is gone
      }
      await turn();
    }
    await over;
    await child.stdin.close().catch(() => {}); // it may be gone
    const [{ code }, out] = await Promise.all([child.status, new Response(child.stdout).text(), says("the end")]);
    assert.deepEqual([code, out.trim()], [0, `"every byte"`], said);
  });

  if (NATIVE.includes(name)) {
    Deno.test(`${name} is not killed by a write to who is gone`, LINUX, async () => {
      assert.equal(await resultOf(start("pipe", name)), "EPIPE");
    });
  }

  Deno.test(`${name} gives no descriptor to programs that are started`, LINUX, async () => {
    const before = new Set(ownDescriptors().values());
    await using stage = Stage.open(name);
    await stage.pair();
    const own = [...ownDescriptors().values()].filter((what) => what.startsWith("socket:") && !before.has(what));
    assert.equal(own.length, 3);
    const script = "for fd in /proc/self/fd/*; do readlink $fd; done";
    const { stdout } = await new Deno.Command("sh", { args: ["-c", script] }).output();
    const theirs = new TextDecoder().decode(stdout).trim().split("\n");
    assert(theirs.length >= 3, "the script says nothing");
    assert.deepEqual(theirs.filter((what) => own.includes(what) || /eventpoll|eventfd|io_uring/.test(what)), []);
  });
}
