import assert from "node:assert/strict";
import { writeAll } from "../../lib/link/link.ts";
import type { TcpLink } from "../../lib/link/tcp.ts";
import { Backend, echo, readExactly, readToEnd } from "../helpers/backend.ts";
import { Goscon } from "../helpers/goscon.ts";
import { isInstalled } from "../helpers/programs.ts";
import { tcp } from "../helpers/raw_client.ts";

const IS_UNIX = Deno.build.os !== "windows";
const HAS_NOHUP = IS_UNIX && isInstalled("nohup");
/** What demo answers as well: with a page, of which so many bytes are read. */
const QUESTION = "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n";
const ECHO = `listen: [{tcp: "127.0.0.1:0"}]\nhosts: [{addr: "builtin:echo"}]\n`;
const LISTEN = ["--listen", "127.0.0.1:0"];

/** A command that runs until it is told to end. */
interface Running extends AsyncDisposable {
  goscon: Goscon;
  address: string;
}

/** Starts each of those commands, by another one, and waits until it listens; behind bridge and flaky is an echo. */
const COMMANDS: Record<string, (by: string[]) => Promise<Running>> = {
  async bridge(by) {
    await using stack = new AsyncDisposableStack();
    const proxy = stack.use(await Goscon.start(ECHO));
    const args = ["bridge", ...LISTEN, "--connect", proxy.addresses[0]!, "--log-format", "json"];
    const goscon = stack.use(Goscon.spawn(args, { by }));
    const { address } = await goscon.event((e) => e.message === "bridge listening");
    const all = stack.move();
    return { goscon, address: String(address), [Symbol.asyncDispose]: () => all.disposeAsync() };
  },
  async flaky(by) {
    await using stack = new AsyncDisposableStack();
    const backend = stack.use(new Backend().serve(echo));
    const goscon = stack.use(Goscon.spawn(["flaky", ...LISTEN, "--connect", backend.address], { by }));
    const { message } = await goscon.event((e) => e.message.includes("listening on"));
    const all = stack.move();
    const address = /listening on (\S+),/.exec(message)![1]!;
    return { goscon, address, [Symbol.asyncDispose]: () => all.disposeAsync() };
  },
  async demo(by) {
    const goscon = Goscon.spawn(["demo", ...LISTEN], { by });
    const { message } = await goscon.event((e) => e.message.includes("open http"));
    const address = /http:\/\/([^/]+)\//.exec(message)![1]!;
    return { goscon, address, [Symbol.asyncDispose]: () => goscon[Symbol.asyncDispose]() };
  },
};

/** Asks for something that the command answers, over a connection that is left open: it, and what it answered. */
async function ask(address: string): Promise<{ link: TcpLink; answer: string }> {
  const link = await tcp(address);
  await writeAll(link, new TextEncoder().encode(QUESTION));
  return { link, answer: new TextDecoder().decode(await readExactly(link, QUESTION.length)) };
}

for (const [name, start] of Object.entries(COMMANDS)) {
  Deno.test(`${name} ends in order at SIGHUP`, { ignore: !IS_UNIX }, async () => {
    await using running = await start([]);
    const { link } = await ask(running.address);
    const ended = readToEnd(link).catch(() => {}); // a bridge resets
    running.goscon.kill("SIGHUP");
    assert.equal(await running.goscon.ended(), 0);
    await ended;
    link.close();
    if (name === "bridge") await running.goscon.event((e) => e.message === "bridge session ended");
  });

  Deno.test(`${name} goes on after SIGHUP when nohup started it, and ends in order at SIGTERM`, {
    ignore: !HAS_NOHUP,
  }, async () => {
    await using running = await start(["nohup"]);
    const first = await ask(running.address);
    running.goscon.kill("SIGHUP");
    const second = await ask(running.address);
    assert.deepEqual([first.answer, second.answer].map((answer) => answer.length), [QUESTION.length, QUESTION.length]);
    running.goscon.kill("SIGTERM");
    assert.equal(await running.goscon.ended(), 0);
    for (const { link } of [first, second]) link.close();
  });
}

/** What starts a command with an input that never ends, in that directory: it is open for writing as well. */
const endlessly = (dir: string) => ["sh", "-c", 'mkfifo "$0" && exec "$@" <> "$0"', `${dir}/input`];

const LEAVES = "connect tells the proxy that it leaves at a signal: the backend is reset at once";
Deno.test(LEAVES, { ignore: !IS_UNIX }, async () => {
  await using backend = new Backend();
  await using proxy = await Goscon.start(`listen: [{tcp: "127.0.0.1:0"}]\nhosts: [{addr: "${backend.address}"}]`);
  for (const [signal, code] of [["SIGINT", 130], ["SIGTERM", 143], ["SIGHUP", 129]] as const) {
    const dir = await Deno.makeTempDir();
    const by = endlessly(dir);
    await using goscon = Goscon.spawn(["connect", proxy.addresses[0]!], { by });
    await goscon.event((e) => e.message.includes("connected to"));
    const far = await backend.accept();
    goscon.kill(signal);
    await assert.rejects(far.read(new Uint8Array(1)), Deno.errors.ConnectionReset);
    assert.equal(await goscon.ended(), code);
    assert.equal(goscon.events.length, 1);
    await Deno.remove(dir, { recursive: true });
  }
});

Deno.test("connect goes on after SIGHUP when nohup started it", { ignore: !HAS_NOHUP }, async () => {
  await using proxy = await Goscon.start(ECHO);
  const dir = await Deno.makeTempDir();
  const by = [...endlessly(dir), "nohup"];
  await using goscon = Goscon.spawn(["connect", proxy.addresses[0]!], { by });
  await goscon.event((e) => e.message.includes("connected to"));
  goscon.kill("SIGHUP");
  proxy.kill("SIGKILL");
  await goscon.event((e) => e.message.includes("link lost"));
  goscon.kill("SIGTERM");
  assert.equal(await goscon.ended(), 128 + 15);
  await Deno.remove(dir, { recursive: true });
});
