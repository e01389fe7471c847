import assert from "node:assert/strict";
import { join } from "node:path";
import { EXECUTABLE, Goscon, runProgram } from "../helpers/goscon.ts";
import { assertSameBytes } from "../helpers/bytes.ts";
import { pattern } from "../helpers/random.ts";
import { openOver, RawClient, tcp } from "../helpers/raw_client.ts";
import { stubUntil } from "../helpers/stub_successor.ts";
import { turn } from "../helpers/turns.ts";
import { endpoint } from "../helpers/udp.ts";

const LINUX = { ignore: Deno.build.os !== "linux" || Deno.env.get("GOSCON_IO") === "deno" };
const ROOT = { ignore: LINUX.ignore || Deno.uid() !== 0 };

// Sessions of clients that are gone hold nobody up.
const ECHO = `tcp: 127.0.0.1:0\nscp: {reuse_time: 100ms}\nmanager: 127.0.0.1:0\nhosts: [{addr: "builtin:echo"}]\n`;

async function echoes(client: RawClient, at: number): Promise<void> {
  await client.send(pattern(at, 100));
  assertSameBytes(await client.receive(100), pattern(at, 100));
}

/** Has it be upgraded, and gives what came of that. */
// deno-lint-ignore no-explicit-any -- each test looks at what it wants
async function upgrade(goscon: Goscon): Promise<{ status: number; result: any }> {
  const { status, text } = await goscon.manager("POST", "/upgrade");
  return { status, result: JSON.parse(text) };
}

/** That it serves new clients, and its manager answers. */
async function assertServes(goscon: Goscon): Promise<void> {
  using client = await RawClient.open(goscon.addresses[0]!);
  await echoes(client, 0);
  assert.equal((await goscon.manager("GET", "/healthz")).status, 200);
}

/** Opens sessions, and asks the manager, one after another all the time. */
class Crowd {
  readonly failures: unknown[] = [];
  count = 0;
  sessions = 0;
  #isOver = false;
  #visited = Promise.withResolvers<void>();
  readonly #all: Promise<unknown>;

  constructor(goscon: Goscon) {
    const session = async () => {
      using client = await RawClient.open(goscon.addresses[0]!);
      await echoes(client, 0);
      this.sessions++;
    };
    const probe = async () => assert.equal((await goscon.manager("GET", "/healthz")).text, "ok\n");
    this.#all = Promise.all([session, session, session, session, probe].map((visit) => this.#visit(visit)));
  }

  /** Waits for so many visits more, or a failure. */
  async more(count: number): Promise<void> {
    const wanted = this.count + count;
    while (this.count < wanted && this.failures.length === 0) await this.#visited.promise;
  }

  async end(): Promise<void> {
    this.#isOver = true;
    await this.#all;
    assert.deepEqual(this.failures, []);
  }

  async #visit(visit: () => Promise<void>): Promise<void> {
    while (!this.#isOver && this.failures.length === 0) {
      await visit().then(() => this.count++, (error) => this.failures.push(error));
      this.#visited.resolve();
      this.#visited = Promise.withResolvers();
    }
  }
}

Deno.test(
  "no client is refused or reset while one process after another takes over, with other threads and listeners",
  LINUX,
  async () => {
    await using goscon = await Goscon.start(ECHO + "workers: 2\n");
    const { config } = await goscon.event((e) => e.message === "goscon starting");
    using before = await RawClient.open(goscon.addresses[0]!);
    const crowd = new Crowd(goscon);
    await crowd.more(20);
    const first = await upgrade(goscon);
    assert.equal(first.status, 200, JSON.stringify(first.result));
    await goscon.event((e) => e.message === "upgraded" && e.pid === first.result.pid);
    assert.notEqual(first.result.pid, goscon.pid);
    await crowd.more(20);
    await echoes(before, 0); // its session has stayed where it is
    await goscon.rewrite(ECHO.replace("tcp:", `listen: [{tcp: "127.0.0.1:0", dialect: plain}]\ntcp:`) + "workers: 3\n");
    // It has a manager: the file names port 0, which says nothing to whoever asks.
    Deno.kill(first.result.pid, "SIGUSR2");
    await goscon.event((e) => e.message === "upgraded" && e.pid !== first.result.pid);
    await crowd.more(20);
    await goscon.rewrite(ECHO + "workers: 1\n");
    const third = await upgrade(goscon);
    assert.equal(third.status, 200, JSON.stringify(third.result));
    await crowd.more(20);
    await crowd.end();
    const { upgrades, stats } = JSON.parse((await goscon.manager("GET", "/status")).text);
    assert.deepEqual([upgrades.done, upgrades.failed], [3, 0]);
    assert(upgrades.last.took >= third.result.took_ms - 1 && upgrades.last.took <= third.result.took_ms + 1);
    assert(stats.sessionsBegun > crowd.sessions, `of ${crowd.sessions} sessions ${stats.sessionsBegun} are counted`);
    // Each but the last has ended by itself, and the first when its last session had.
    before[Symbol.dispose]();
    assert.equal(await goscon.exited(), 0);
    await goscon.stopped(3);
    assert.equal(goscon.events.filter((e) => e.message === "goscon starting" && e.config === config).length, 4);
    Deno.kill(third.result.pid, "SIGTERM");
    await goscon.stopped(4);
  },
);

Deno.test("a new configuration with faults is told, and the old process goes on", LINUX, async () => {
  using taken = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  await using goscon = await Goscon.start(ECHO);
  using before = await RawClient.open(goscon.addresses[0]!);
  for (
    const [config, fault] of [
      ["hosts: 5\n", /:1:8: hosts: expected/],
      [
        ECHO.replace("tcp:", `listen: [{tcp: "127.0.0.1:${taken.addr.port}"}]\ntcp:`),
        /^Cannot listen on .* is in use$/,
      ],
      [ECHO + "io: deno\n", /sockets are had by Deno/],
      [
        ECHO +
        "cluster: {name: a, slot: 1, listen: '127.0.0.1:0', nodes: [{slot: 1, addr: '127.0.0.1:1'}], secrets: [0123456789abcdef0123456789abcdef]}\n",
        /^cluster: no upgrade can change this/,
      ],
    ] as const
  ) {
    await goscon.rewrite(config);
    const { status, result } = await upgrade(goscon);
    assert.equal(status, 422, JSON.stringify(result));
    assert.match(result.faults[0], fault);
    await assertServes(goscon);
    await echoes(before, 0);
  }
  await goscon.rewrite(ECHO);
  assert.equal((await upgrade(goscon)).status, 200);
  await assertServes(goscon);
});

Deno.test("a new process with too few descriptors for all sessions takes none, and says why", LINUX, async () => {
  const dir = await Deno.makeTempDir();
  const at = join(dir, "program");
  await Deno.symlink(EXECUTABLE, at);
  {
    await using goscon = await Goscon.start(ECHO, { at });
    const clients: RawClient[] = [];
    for (let n = 0; n < 120; n++) clients.push(await RawClient.open(goscon.addresses[0]!));
    const open = [...Deno.readDirSync(`/proc/${goscon.pid}/fd`)].length;
    await Deno.remove(at);
    const program = `#!/bin/sh\nulimit -n ${open + 20}\nexec "${EXECUTABLE}" "$@"\n`;
    await Deno.writeTextFile(at, program, { mode: 0o755 });
    const { status, result } = await upgrade(goscon);
    assert.equal(status, 422);
    assert.match(
      result.faults.join("; "),
      new RegExp(`^the limit of ${open + 20} descriptors leaves no room for the `),
    );
    for (const client of clients) await echoes(client, 0);
    await assertServes(goscon);
    for (const client of clients) client[Symbol.dispose]();
  }
  await Deno.remove(dir, { recursive: true });
});

Deno.test(
  "what the new process does not listen on is closed, while who is in the middle of a handshake there has time for it",
  LINUX,
  async () => {
    await using goscon = await Goscon.start(ECHO.replace("tcp:", `listen: [{tcp: "127.0.0.1:0"}]\ntcp:`));
    const [, address] = goscon.addresses as [string, string];
    const link = await tcp(address);
    const handshakes = async () => JSON.parse((await goscon.manager("GET", "/status")).text).gauges.handshakes;
    while (await handshakes() === 0);
    await goscon.rewrite(ECHO.replace("tcp:", `listen: [{tcp: "127.0.0.1:0", dialect: plain}]\n#`));
    const { status, result } = await upgrade(goscon);
    assert.equal(status, 200, JSON.stringify(result));
    while (!isFree(address)) await turn();
    using client = await openOver(link);
    await echoes(client, 0);
  },
);

/** Whether nobody listens there. */
function isFree(address: string): boolean {
  try {
    Deno.listen(endpoint(address)).close();
    return true;
  } catch {
    return false;
  }
}

/** Whatever step it has come to by then: it may have been slow before. */
const LATE = /^upgrade_timeout of 4000 ms is over, and the new process has not come to: \w+$/;

/** Of each step at which the new process may fail, how, and why the old one says that it does. */
const FAILURES: [step: string, then: string, reason: RegExp][] = [
  ["enter", "3", /^the new process ended with code 3$/],
  ["enter", "hang", LATE],
  ["started", "0", /^the new process ended with code 0$/],
  ["read", "crash", /^the new process ended by SIGKILL$/],
  ["read", "hang", LATE],
  ["ready", "4", /^the new process ended with code 4$/],
  ["ready", "hang", LATE],
  ["serving", "crash", /^the new process ended by SIGKILL$/],
  ["serving", "hang", LATE],
  ["taken", "crash", /^the new process ended by SIGKILL$/],
  ["taken", "hang", LATE],
  ["done", "5", /^the new process ended with code 5$/],
];

Deno.test("a new process that ends or hangs at any step leaves the old one as it was", LINUX, async (t) => {
  const dir = await Deno.makeTempDir();
  const at = join(dir, "program");
  await Deno.symlink(EXECUTABLE, at);
  {
    await using goscon = await Goscon.start(ECHO, { at });
    using before = await RawClient.open(goscon.addresses[0]!);
    const crowd = new Crowd(goscon);
    await Deno.remove(at);
    for (const [step, then, reason] of FAILURES) {
      await t.step(`${step}: ${then}`, async () => {
        // Short only for one that is waited for in vain.
        await goscon.rewrite(`${ECHO}upgrade_timeout: ${then === "hang" ? "4s" : "10m"}\n`);
        assert.equal((await goscon.manager("POST", "/reload")).status, 200);
        const next = join(dir, "next");
        await Deno.writeTextFile(next, stubUntil(step, then), { mode: 0o755 });
        await Deno.rename(next, at);
        const { status, result } = await upgrade(goscon);
        assert.equal(status, 422);
        assert.match(result.faults.join("; "), reason);
        await assertServes(goscon);
        await echoes(before, 0);
        await crowd.more(5);
      });
    }
    await t.step("there is none", async () => {
      await Deno.remove(at);
      const { status, result } = await upgrade(goscon);
      assert.equal(status, 422);
      assert.match(result.faults[0], /program cannot be started: .*No such file/);
      await assertServes(goscon);
    });
    await crowd.end();
    assert.deepEqual(goscon.successors, []);
  }
  await Deno.remove(dir, { recursive: true });
});

Deno.test("a manager that a reload wanted elsewhere is there after an upgrade", LINUX, async () => {
  await using goscon = await Goscon.start(ECHO);
  await goscon.rewrite(ECHO.replace("manager: 127.0.0.1:0", `manager: "[::1]:0"`));
  assert.match((await goscon.manager("POST", "/reload")).text, /"needsRestart":\["manager: /);
  const { status, result } = await upgrade(goscon);
  assert.equal(status, 200, JSON.stringify(result));
  const { url } = await goscon.event((e) => e.message === "manager" && String(e.url).includes("[::1]"));
  assert.equal(await (await fetch(`${url}healthz`)).text(), "ok\n");
  const { url: before } = await goscon.event((e) => e.message === "manager");
  assert.equal(await goscon.exited(), 0);
  await assert.rejects(fetch(`${before}healthz`));
});

Deno.test("who has connected to the manager before an upgrade, and asks after it, is answered", LINUX, async () => {
  await using goscon = await Goscon.start(ECHO);
  const { url } = await goscon.event((e) => e.message === "manager");
  using conn = await Deno.connect({ hostname: "127.0.0.1", port: Number(new URL(String(url)).port) });
  await conn.write(new TextEncoder().encode("GET /healthz HT")); // it is accepted for sure
  assert.equal((await upgrade(goscon)).status, 200);
  // The old process would be over by then.
  for (let n = 0; n < 300; n++) await goscon.manager("GET", "/healthz");
  await conn.write(new TextEncoder().encode("TP/1.1\r\nhost: goscon\r\n\r\n"));
  assert.match(await new Response(conn.readable).text(), /^HTTP\/1.1 200 /);
  await goscon.stopped(1);
});

Deno.test("the new process serves on when the old one is killed as soon as it has taken over", LINUX, async () => {
  await using goscon = await Goscon.start(ECHO);
  const upgrading = goscon.manager("POST", "/upgrade").catch(() => {});
  await goscon.event((e) => e.message === "taken over");
  try {
    goscon.kill("SIGKILL");
  } catch {
    // It has ended by itself meanwhile, as it is to.
  }
  await upgrading;
  await goscon.exited();
  await assertServes(goscon);
});

Deno.test(
  "a second upgrade is refused while one is under way, which ends with the process that it is of",
  LINUX,
  async () => {
    const dir = await Deno.makeTempDir();
    const at = join(dir, "program");
    await Deno.symlink(EXECUTABLE, at);
    {
      await using goscon = await Goscon.start(ECHO, { at });
      await Deno.remove(at);
      await Deno.writeTextFile(at, stubUntil("ready", "hang"), { mode: 0o755 });
      const first = upgrade(goscon);
      await goscon.event((e) => e.message === "upgrade begun");
      const second = await upgrade(goscon);
      assert.deepEqual([second.status, second.result.faults], [409, ["an upgrade is under way"]]);
      goscon.kill("SIGTERM");
      const { status, result } = await first;
      assert.deepEqual([status, result.faults], [422, ["this process is coming to its end"]]);
      assert.equal(await goscon.ended(), 0);
    }
    await Deno.remove(dir, { recursive: true });
  },
);

Deno.test("as process 1, and under one that ends with it, it refuses to be replaced", ROOT, async () => {
  const dir = await Deno.makeTempDir();
  const init = join(dir, "tini");
  await Deno.writeTextFile(init, `#!/bin/sh\n"$@" &\nwait\n`, { mode: 0o755 });
  for (const [by, reason] of [[[], /this is process 1/], [[init], /tini ends the container/]] as const) {
    const container = ["unshare", "--pid", "--fork", "--kill-child", "--mount-proc", ...by];
    await using goscon = await Goscon.start(ECHO, { by: container });
    const { status, result } = await upgrade(goscon);
    assert.equal(status, 409);
    assert.match(result.faults[0], reason);
    await assertServes(goscon);
  }
  await Deno.remove(dir, { recursive: true });
});

Deno.test("with Deno's sockets it refuses to be replaced", async () => {
  await using goscon = await Goscon.start(ECHO + "io: deno\n");
  const { status, result } = await upgrade(goscon);
  assert.equal(status, 409);
  assert.match(result.faults[0], Deno.build.os === "linux" ? /had by Deno/ : /this is/);
  await assertServes(goscon);
});

Deno.test("goscon upgrade says who has taken over, or fails with the reason", LINUX, async () => {
  // On a port of its own: the file says where the manager is.
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const config = ECHO.replace(
    "manager: 127.0.0.1:0",
    `manager: 127.0.0.1:${listener.addr.port}\nmanager_token: s3cret`,
  );
  listener.close();
  await using goscon = await Goscon.start(config);
  const { config: file } = await goscon.event((e) => e.message === "goscon starting");
  const done = await runProgram(["upgrade", "--config", String(file)]);
  assert.equal(done.code, 0, done.err);
  await goscon.event((e) => e.message === "upgraded");
  assert.equal(done.out, `process ${goscon.successors[0]} has taken over\n`);
  await goscon.rewrite(config + "io: deno\n");
  const failed = await runProgram(["upgrade", "--config", String(file)]);
  assert.equal(failed.code, 1);
  assert.match(failed.err, /^goscon: Cannot upgrade: sockets are had by Deno/);
  await goscon.rewrite(config.replace(/^manager.*\n/gm, ""));
  const nobody = await runProgram(["upgrade", "--config", String(file)]);
  assert.equal(nobody.code, 1);
  assert.match(nobody.err, /neither --pid nor MAINPID is given/);
  const [first] = goscon.successors;
  assert.equal((await runProgram(["upgrade", "--config", String(file), "--pid", String(first)])).code, 0);
  await goscon.event((e) => e.message === "upgraded" && e.pid !== first);
});

Deno.test(
  "systemd is told of the beginning of an upgrade, of its end, and which process is the service then",
  LINUX,
  async () => {
    const dir = await Deno.makeTempDir();
    const path = join(dir, "notify.sock");
    const socket = Deno.listenDatagram({ transport: "unixpacket", path });
    const next = async () => new TextDecoder().decode((await socket.receive())[0]);
    {
      await using goscon = await Goscon.start(ECHO, { env: { NOTIFY_SOCKET: path } });
      assert.equal(await next(), "READY=1\nSTATUS=");
      await goscon.rewrite("hosts: 5\n");
      assert.equal((await upgrade(goscon)).status, 422);
      assert.match(await next(), /^RELOADING=1\nMONOTONIC_USEC=\d+$/);
      assert.match(await next(), /^READY=1\nSTATUS=not upgraded: .*hosts: expected/);
      await goscon.rewrite(ECHO);
      const { result } = await upgrade(goscon);
      assert.match(await next(), /^RELOADING=1\nMONOTONIC_USEC=\d+$/);
      assert.equal(await next(), `READY=1\nSTATUS=\nMAINPID=${result.pid}`);
      assert.equal(await next(), "READY=1\nSTATUS="); // of the new one
      assert.equal(await goscon.exited(), 0);
      Deno.kill(result.pid, "SIGTERM");
      assert.equal(await next(), "STOPPING=1"); // and of no other
      await goscon.stopped(2);
    }
    socket.close();
    await Deno.remove(dir, { recursive: true });
  },
);
