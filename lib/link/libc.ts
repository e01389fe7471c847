/** Of Linux; the numbers are the same on x86_64 and aarch64. */
const [AF_INET, AF_INET6, SOCK_STREAM, SOL_SOCKET, SO_REUSEADDR] = [2, 10, 1, 1, 2];
const [RLIMIT_NOFILE, CLOCK_MONOTONIC] = [7, 1];
/** How the C library spells that there is no limit. */
const RLIM_INFINITY = 2n ** 64n - 1n;
/** A `sockaddr` of AF_UNSPEC: to connect to it is to disconnect. */
const NOWHERE = new Uint8Array(16);
const ON = new Int32Array([1]);
/** Where a call writes an address, a `sockaddr_in6` at the most, and its length: one for all, as there are many calls. */
const SOCKADDR = new DataView(new ArrayBuffer(28));
const LENGTH = new Uint32Array(1);

const SYMBOLS = {
  bind: { parameters: ["i32", "buffer", "u32"], result: "i32" },
  clock_gettime: { parameters: ["i32", "buffer"], result: "i32" },
  close: { parameters: ["i32"], result: "i32" },
  connect: { parameters: ["i32", "buffer", "u32"], result: "i32" },
  getpeername: { parameters: ["i32", "buffer", "buffer"], result: "i32" },
  getsockname: { parameters: ["i32", "buffer", "buffer"], result: "i32" },
  setrlimit: { parameters: ["i32", "buffer"], result: "i32" },
  setsockopt: { parameters: ["i32", "i32", "i32", "buffer", "u32"], result: "i32" },
  socket: { parameters: ["i32", "i32", "i32"], result: "i32" },
} as const;

type Libc = Deno.DynamicLibrary<typeof SYMBOLS>["symbols"];
type Address = Pick<Deno.NetAddr, "hostname" | "port">;

/**
 * Breaks a TCP connection so that the other end sees a reset, whatever was read and sent; to close it stays with the caller.
 * Deno's connections have no such thing, and end their direction before they close: so the C library does it, on the
 * descriptor whose ends are the connection's. Says whether it did: only on Linux, and where all is allowed.
 */
export function resetConnection({ localAddr, remoteAddr }: Pick<Deno.TcpConn, "localAddr" | "remoteAddr">): boolean {
  return withLibc((libc) => {
    for (let fd = 0, slots = descriptorSlots(); fd < slots; fd++) {
      // The ports first: there can be thousands of descriptors, and few share both.
      if (portOf(libc.getsockname, fd) !== localAddr.port || portOf(libc.getpeername, fd) !== remoteAddr.port) continue;
      if (!isOf(libc.getsockname, fd, localAddr) || !isOf(libc.getpeername, fd, remoteAddr)) continue;
      return libc.connect(fd, NOWHERE, NOWHERE.length) === 0;
    }
    return false;
  }) ?? false;
}

/**
 * The port of an IPv4 address that nobody has, another one when any is asked for: it is had for a moment, and not listened on,
 * so that no client comes too early. `undefined`: somebody has it, or this cannot tell: it is no IPv4 address, this is not
 * Linux, or foreign functions are not allowed.
 */
export function bindablePort({ hostname, port }: Address): number | undefined {
  if (!/^\d+\.\d+\.\d+\.\d+$/.test(hostname)) return undefined;
  return withLibc((libc) => {
    const fd = libc.socket(AF_INET, SOCK_STREAM, 0);
    try {
      const wanted = new DataView(new ArrayBuffer(16)); // a sockaddr_in
      wanted.setUint16(0, AF_INET, true);
      wanted.setUint16(2, port);
      hostname.split(".").forEach((part, i) => wanted.setUint8(4 + i, Number(part)));
      // As who listens does: connections that are over do not count.
      libc.setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, ON, ON.byteLength);
      if (libc.bind(fd, wanted.buffer, wanted.byteLength) !== 0) return undefined;
      return portOf(libc.getsockname, fd);
    } finally {
      libc.close(fd);
    }
  });
}

/** Sets how many descriptors this process may have open, and says whether it did. `Infinity`: there is no limit. */
export function setDescriptorLimit({ soft, hard }: { soft: number; hard: number }): boolean {
  const limits = [soft, hard].map((limit) => limit === Infinity ? RLIM_INFINITY : BigInt(limit));
  return withLibc((libc) => libc.setrlimit(RLIMIT_NOFILE, BigUint64Array.from(limits)) === 0) ?? false;
}

/**
 * The time of CLOCK_MONOTONIC, in microseconds: a clock of the whole machine, which stands still while that sleeps.
 * `undefined`: this is not Linux, or foreign functions are not allowed.
 */
export function monotonicMicroseconds(): number | undefined {
  const time = new BigInt64Array(2); // a timespec: seconds, nanoseconds
  if (withLibc((libc) => libc.clock_gettime(CLOCK_MONOTONIC, time)) !== 0) return undefined;
  const [seconds, nanoseconds] = time;
  return Number(seconds! * 1_000_000n + nanoseconds! / 1000n);
}

/**
 * All descriptors of this process are below it; 0 where that is not told, as only to those who may do all. To ask each of them
 * for its address takes less than to list those that are open.
 */
function descriptorSlots(): number {
  try {
    return Number(/^FDSize:\s*(\d+)/m.exec(Deno.readTextFileSync("/proc/self/status"))?.[1] ?? 0);
  } catch {
    return 0;
  }
}

/** `undefined` where there is no such library, or it may not be called. */
function withLibc<T>(call: (libc: Libc) => T): T | undefined {
  if (Deno.build.os !== "linux") return undefined;
  // Without asking: a program that may not call foreign functions would ask its user.
  if (Deno.permissions.querySync({ name: "ffi" }).state !== "granted") return undefined;
  let library: Deno.DynamicLibrary<typeof SYMBOLS>;
  try {
    library = Deno.dlopen("libc.so.6", SYMBOLS);
  } catch {
    return undefined; // another C library
  }
  try {
    return call(library.symbols);
  } finally {
    library.close();
  }
}

/** Whether that is the host which a call gives for a descriptor. */
function isOf(call: Libc["getsockname"], fd: number, { hostname }: Address): boolean {
  return portOf(call, fd) !== undefined && oneSpelling(lastHostname()) === oneSpelling(hostname);
}

/** The port which a call gives for a descriptor; `undefined` of one that is no connection over IP. */
function portOf(call: Libc["getsockname"], fd: number): number | undefined {
  LENGTH[0] = SOCKADDR.byteLength;
  if (call(fd, SOCKADDR.buffer, LENGTH) !== 0) return undefined;
  return [AF_INET, AF_INET6].includes(SOCKADDR.getUint16(0, true)) ? SOCKADDR.getUint16(2) : undefined;
}

/** What the last such call gave. */
function lastHostname(): string {
  if (SOCKADDR.getUint16(0, true) === AF_INET) return Array.from(new Uint8Array(SOCKADDR.buffer, 4, 4)).join(".");
  return Array.from({ length: 8 }, (_, i) => SOCKADDR.getUint16(8 + 2 * i).toString(16)).join(":");
}

function oneSpelling(hostname: string): string {
  const [ip] = hostname.split("%");
  return ip!.includes(":") ? new URL(`http://[${ip}]`).hostname : ip!;
}
