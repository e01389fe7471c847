import assert from "node:assert/strict";
import type { EngineName } from "../../../lib/config/engines.ts";
import { System } from "../../../lib/link/engine/system.ts";
import { engineOf, NATIVE } from "../../helpers/engine.ts";
import { RawSocket } from "../../helpers/raw_socket.ts";

const OPTIONS = { backlog: 128, isShared: false, tcp: {} };

/** What `accept` fails with, once for each, before it accepts anything. */
async function acceptAfter(
  name: EngineName,
  errnos: number[],
  onFailure: (failure: { reason: string; retry_ms: number }) => void,
) {
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
      const of = failedWith ?? errno.get!.call(this);
      failedWith = undefined; // a call that comes after it has its own
      return of;
    },
  });
  try {
    const engine = engineOf(name);
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

for (const name of NATIVE) {
  Deno.test(`${name} goes on at once after a client that is gone, or may not come, and after a signal`, async () => {
    const [ECONNABORTED, EPROTO, ENETDOWN, EHOSTUNREACH, EPERM, EINTR] = [103, 71, 100, 113, 1, 4];
    await acceptAfter(
      name,
      [ECONNABORTED, EPROTO, ENETDOWN, EHOSTUNREACH, EPERM, EINTR],
      ({ reason }) => assert.fail(reason),
    );
  });

  Deno.test(`${name} waits a failure to accept out, whatever it is, without any event`, async () => {
    const [ENFILE, ENOBUFS, ENOMEM] = [23, 105, 12];
    const reasons: string[] = [];
    await acceptAfter(name, [ENFILE, ENOBUFS, ENOMEM], ({ reason, retry_ms }) => reasons.push(`${reason} ${retry_ms}`));
    assert.deepEqual(reasons, [
      "Too many open files in system (os error 23) 5",
      "No buffer space available (os error 105) 10",
      "Cannot allocate memory (os error 12) 20",
    ]);
  });
}
