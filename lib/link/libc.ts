/** Of Linux; the numbers are the same on x86_64 and aarch64. */
const [AF_INET, AF_INET6, SOCK_STREAM, SOL_SOCKET, SO_REUSEADDR] = [2, 10, 1, 1, 2];
/** A `sockaddr` of AF_UNSPEC: to connect to it is to disconnect. */
const NOWHERE = new Uint8Array(16);
const ON = new Int32Array([1]);

const SYMBOLS = {
  bind: { parameters: ["i32", "buffer", "u32"], result: "i32" },
  close: { parameters: ["i32"], result: "i32" },
  connect: { parameters: ["i32", "buffer", "u32"], result: "i32" },
  getpeername: { parameters: ["i32", "buffer", "buffer"], result: "i32" },
  getsockname: { parameters: ["i32", "buffer", "buffer"], result: "i32" },
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
    const [local, remote] = [textOf(localAddr), textOf(remoteAddr)];
    for (const fd of descriptors()) {
      const [near, far] = [addressOf(libc.getsockname, fd), addressOf(libc.getpeername, fd)];
      if (!near || !far || textOf(near) !== local || textOf(far) !== remote) continue;
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
      return addressOf(libc.getsockname, fd)?.port;
    } finally {
      libc.close(fd);
    }
  });
}

/** Those of this process; none where that is not told, as only to those who may do all. */
function descriptors(): number[] {
  try {
    return Array.from(Deno.readDirSync("/proc/self/fd"), ({ name }) => Number(name));
  } catch {
    return [];
  }
}

/** `undefined` where there is no such library. */
function withLibc<T>(call: (libc: Libc) => T): T | undefined {
  if (Deno.build.os !== "linux") return undefined;
  let library: Deno.DynamicLibrary<typeof SYMBOLS>;
  try {
    library = Deno.dlopen("libc.so.6", SYMBOLS);
  } catch {
    return undefined; // not allowed, or another C library
  }
  try {
    return call(library.symbols);
  } finally {
    library.close();
  }
}

/** The address that a call gives for a descriptor; of one that is no connection over IP it is `undefined`. */
function addressOf(call: Libc["getsockname"], fd: number): Address | undefined {
  const bytes = new DataView(new ArrayBuffer(28)); // a sockaddr_in6
  if (call(fd, bytes.buffer, new Uint32Array([bytes.byteLength])) !== 0) return undefined;
  const [family, port] = [bytes.getUint16(0, true), bytes.getUint16(2)];
  if (family === AF_INET) return { hostname: Array.from(new Uint8Array(bytes.buffer, 4, 4)).join("."), port };
  if (family !== AF_INET6) return undefined;
  return { hostname: Array.from({ length: 8 }, (_, i) => bytes.getUint16(8 + 2 * i).toString(16)).join(":"), port };
}

/** One spelling for each address. */
function textOf({ hostname, port }: Address): string {
  const [ip] = hostname.split("%");
  return `${ip!.includes(":") ? new URL(`http://[${ip}]`).hostname : ip} ${port}`;
}
