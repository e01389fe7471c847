import assert from "node:assert/strict";
import { Events, System, SystemError } from "../../../lib/link/engine/system.ts";
// Opens the C library, which stays open.
import "../../helpers/engine.ts";

const LINUX = { ignore: Deno.build.os !== "linux" };
const [EBADF, EAGAIN, EINVAL, ENOTSOCK] = [9, 11, 22, 88];

Deno.test("errno is that of the call before, whatever else goes on", LINUX, () => {
  const system = System.open();
  const bell = system.createBell();
  const listener = system.socket(2);
  system.listen(listener, 1);
  const bytes = new Uint8Array(100);
  const garbage: unknown[] = [];
  for (let i = 0; i < 100_000; i++) {
    assert.equal(system.receive(-1, bytes, 100) < 0 ? system.errno : 0, EBADF);
    assert.equal(system.send(bell, bytes) < 0 ? system.errno : 0, ENOTSOCK);
    assert.equal(system.accept(listener, bytes) < 0 ? system.errno : 0, EAGAIN);
    assert.equal(system.listen(listener, 1) < 0 ? system.errno : 0, 0);
    assert.equal(system.watch(bell, bell, 0, 0) < 0 ? system.errno : 0, EINVAL);
    garbage[i % 100] = new Array(100); // so that it is collected meanwhile
  }
  system.close(listener);
  system.close(bell);
});

Deno.test("an error has the system's text, its number and, of those that are asked for, a code", LINUX, () => {
  const system = System.open();
  for (
    const [errno, code, text] of [
      [104, "ECONNRESET", "Connection reset by peer (os error 104)"],
      [24, "EMFILE", "Too many open files (os error 24)"],
      [11, "EAGAIN", "Resource temporarily unavailable (os error 11)"],
      [88, "E88", "Socket operation on non-socket (os error 88)"],
    ] as const
  ) {
    const error = system.error(errno);
    assert(error instanceof SystemError);
    assert.deepEqual([error.code, error.message], [code, text]);
  }
});

Deno.test("no more is received than the buffer, or the caller, has room for", LINUX, async () => {
  const system = System.open();
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const fd = system.socket(2);
  const { encodeAddress } = await import("../../../lib/link/engine/sockaddr.ts");
  system.connect(fd, encodeAddress({ kind: "tcp", hostname: "127.0.0.1", port: listener.addr.port }, system));
  using conn = await listener.accept();
  await conn.write(new Uint8Array(1000).fill(7));
  const whole = new Uint8Array(100);
  const part = whole.subarray(10, 20);
  assert.equal(system.receive(fd, part, 1_000_000), 10);
  assert.deepEqual(whole, Uint8Array.from(whole, (_, i) => i >= 10 && i < 20 ? 7 : 0));
  assert.equal(system.receive(fd, whole, 3), 3);
  assert.deepEqual(whole.subarray(0, 4), Uint8Array.of(7, 7, 7, 0));
  system.close(fd);
});

Deno.test("an event says whose it is, and is told once", LINUX, () => {
  const system = System.open();
  const [epoll, bell] = [system.createEpoll(), system.createBell()];
  const events = new Events(4);
  const [slot, generation] = [0x12345678, -0x789abcde];
  assert.equal(system.watch(epoll, bell, slot, generation), 0);
  system.ring(bell);
  assert.equal(system.wait(epoll, events, 0), 1);
  assert.deepEqual([events.slot(0), events.generation(0), events.flags(0)], [slot, generation, 5]);
  assert.equal(system.wait(epoll, events, 0), 0);
  system.ring(bell);
  assert.equal(system.wait(epoll, events, 0), 1);
  system.ring(bell);
  system.unwatch(epoll, bell);
  assert.equal(system.wait(epoll, events, 0), 0);
  system.close(bell);
  system.close(epoll);
});
