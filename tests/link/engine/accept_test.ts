import assert from "node:assert/strict";
import { System } from "../../../lib/link/engine/system.ts";
import { engineOf } from "../../helpers/engine.ts";
import { RawSocket } from "../../helpers/raw_socket.ts";

const LINUX = { ignore: Deno.build.os !== "linux" };
const OPTIONS = { backlog: 128, isShared: false, tcp: {} };

/** What `accept` fails with, once for each, before it accepts anything. */
async function acceptAfter(errnos: number[], onFailure: (failure: { reason: string; retry_ms: number }) => void) {
  const { prototype } = System;
  const { accept } = prototype;
  const errno = Object.getOwnPropertyDescriptor(prototype, "errno")!;
  const left = [...errnos];
  let failedWith: number | undefined;
  prototype.accept = function (fd, address) {
    failedWith = left.shift();
    return failedWith === undefined ? accept.call(this, fd, address) : -1;
  };
  Object.defineProperty(prototype, "errno", {
    configurable: true,
    get() {
      return failedWith ?? errno.get!.call(this);
    },
  });
  try {
    const engine = engineOf("epoll");
    const listening = engine.listen({ hostname: "127.0.0.1", port: 0 }, OPTIONS);
    using client = RawSocket.connect({ kind: "tcp", ...listening.address });
    const { promise, resolve } = Promise.withResolvers<{ close(): void }>();
    listening.accept({ onConnection: resolve, onFailure });
    (await promise).close();
    assert.equal((await client.receive(1)).length, 0);
    await listening.close();
    await engine.close();
  } finally {
    prototype.accept = accept;
    Object.defineProperty(prototype, "errno", errno);
  }
}

Deno.test("epoll goes on at once after a client that is gone, or may not come, and after a signal", LINUX, async () => {
  const [ECONNABORTED, EPROTO, ENETDOWN, EHOSTUNREACH, EPERM, EINTR] = [103, 71, 100, 113, 1, 4];
  await acceptAfter([ECONNABORTED, EPROTO, ENETDOWN, EHOSTUNREACH, EPERM, EINTR], ({ reason }) => assert.fail(reason));
});

Deno.test("epoll waits a failure to accept out, whatever it is, without any event", LINUX, async () => {
  const [ENFILE, ENOBUFS, ENOMEM] = [23, 105, 12];
  const reasons: string[] = [];
  await acceptAfter([ENFILE, ENOBUFS, ENOMEM], ({ reason, retry_ms }) => reasons.push(`${reason} ${retry_ms}`));
  assert.deepEqual(reasons, [
    "Too many open files in system (os error 23) 5",
    "No buffer space available (os error 105) 10",
    "Cannot allocate memory (os error 12) 20",
  ]);
});
