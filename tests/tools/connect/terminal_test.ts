import assert from "node:assert/strict";
import type { DenoConnectOptions } from "../../../lib/client/mod.ts";
import { terminal } from "../../../lib/tools/connect/terminal.ts";
import { writeAll } from "../../../lib/link/link.ts";
import { AckedServer } from "../../helpers/acked_server.ts";
import { Backend, readToEnd } from "../../helpers/backend.ts";
import { proxyOf } from "../../helpers/bridge.ts";
import { assertSameBytes, concat } from "../../helpers/bytes.ts";
import { pattern } from "../../helpers/random.ts";
import { until } from "../../helpers/turns.ts";

/** A terminal in the hands of a test, which is to be told when it ends. */
class Typist {
  readonly said: string[] = [];
  readonly ended: Promise<void>;
  readonly #input: ReadableStreamDefaultController<Uint8Array>;
  readonly #shown: Uint8Array[] = [];

  constructor(address: string, { linger = 2 ** 30, output, ...options }: DenoConnectOptions & Partial<Of> = {}) {
    let input!: ReadableStreamDefaultController<Uint8Array>;
    this.ended = terminal(`tcp://${address}`, options, {
      input: new ReadableStream({ start: (controller) => void (input = controller) }),
      output: output ?? new WritableStream({ write: (bytes) => void this.#shown.push(bytes) }),
      tell: (line) => this.said.push(line),
      linger,
    });
    this.ended.catch(() => {});
    this.#input = input;
  }

  get shown(): Uint8Array {
    return concat(this.#shown);
  }

  type(bytes: Uint8Array): void {
    this.#input.enqueue(bytes);
  }

  end(): void {
    this.#input.close();
  }

  break(): void {
    this.#input.error(new Error("the terminal is gone"));
  }
}

interface Of {
  linger: number;
  output: WritableStream<Uint8Array>;
}

/** Answers, when all has come, with as many bytes of another stream. */
async function answer(far: Awaited<ReturnType<Backend["accept"]>>): Promise<void> {
  const { length } = await readToEnd(far);
  await writeAll(far, pattern(0, length, 2));
  far.close();
}

Deno.test("the end of the input is an end to the backend, whose answer to all of it is shown; and that is the end", async () => {
  await using backend = new Backend();
  await using proxy = proxyOf(backend);
  const typist = new Typist(proxy.address, { linger: 1 });
  typist.type(pattern(0, 5000));
  typist.end();
  await answer(await backend.accept());
  await typist.ended;
  assertSameBytes(typist.shown, pattern(0, 5000, 2));
  assert.equal(typist.said.length, 1);
  assert.equal((await proxy.stats()).sessionsEnded.upstream_closed, 1);
});

Deno.test("in version 1 the end of the input ends the session once the backend was quiet, and not before", async () => {
  await using backend = new Backend();
  await using proxy = proxyOf(backend, "10ms");
  const typist = new Typist(proxy.address, { version: 1, linger: 1 });
  const far = await backend.accept();
  typist.type(pattern(0, 5000));
  await writeAll(far, pattern(0, 10, 2));
  typist.end();
  assertSameBytes(await readToEnd(far), pattern(0, 5000));
  await typist.ended;
  assertSameBytes(typist.shown, pattern(0, 10, 2));
});

for (const version of [1, 2] as const) {
  Deno.test(`the backend's end is the end, though the input goes on: version ${version}`, async () => {
    await using backend = new Backend();
    await using proxy = proxyOf(backend);
    const typist = new Typist(proxy.address, { version });
    const far = await backend.accept();
    await writeAll(far, pattern(0, 5000));
    far.close();
    await typist.ended;
    assertSameBytes(typist.shown, pattern(0, 5000));
    // Version 1 asks whether that was the end.
    if (version === 2) assert.equal(typist.said.length, 1, typist.said.join("\n"));
  });
}

Deno.test("a session that ends with another code than 0 is a failure that says why, after what came", async () => {
  for (const isHalfOpen of [false, true]) {
    await using server = new AckedServer();
    const typist = new Typist(server.address);
    const end = await server.end();
    if (isHalfOpen) typist.end();
    await until(() => end.isEnded === isHalfOpen, () => "no end came");
    end.write(pattern(0, 5000));
    end.close(3, "so it is");
    await assert.rejects(typist.ended, /the session was lost: an operator ended it \(so it is\)/);
    assertSameBytes(typist.shown, pattern(0, 5000));
  }
});

Deno.test("an end that the session does not come to after the backend's is a failure", async () => {
  await using server = new AckedServer();
  const typist = new Typist(server.address);
  const end = await server.end();
  end.isTaking = false;
  typist.type(pattern(0, 5000));
  await until(() => end.stream.session.waiting === 5000, () => "it does not come");
  end.stream.finish();
  await until(() => end.stream.session.snapshot.incoming.isFinished, () => "its end does not come");
  end.close(2);
  await assert.rejects(typist.ended, /the session was lost: the backend broke off/);
});

Deno.test("a terminal that breaks, its input or its output, is a failure, and the backend is told of it", async () => {
  for (const broken of ["input", "output"]) {
    await using server = new AckedServer();
    const output = new WritableStream({ write: () => Promise.reject(new Error("nobody looks")) });
    const typist = new Typist(server.address, broken === "output" ? { output } : {});
    const end = await server.end();
    end.isTaking = false;
    typist.type(pattern(0, 10));
    await until(() => end.stream.session.waiting === 10, () => "it does not come");
    if (broken === "output") end.write(pattern(0, 10));
    else typist.break();
    await assert.rejects(typist.ended, broken === "output" ? /nobody looks/ : /^Error: input: the terminal is gone/);
    assert.equal(end.closedWith, 7);
  }
});
