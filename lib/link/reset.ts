/** Of Linux; the numbers are the same on x86_64 and aarch64. */
const [AF_INET, AF_INET6] = [2, 10];
/** A `sockaddr` of AF_UNSPEC: to connect to it is to disconnect. */
const NOWHERE = new Uint8Array(16);

const SYMBOLS = {
  getsockname: { parameters: ["i32", "buffer", "buffer"], result: "i32" },
  getpeername: { parameters: ["i32", "buffer", "buffer"], result: "i32" },
  connect: { parameters: ["i32", "buffer", "u32"], result: "i32" },
} as const;

type Libc = Deno.DynamicLibrary<typeof SYMBOLS>["symbols"];

/**
 * Breaks a TCP connection so that the other end sees a reset, whatever was read and sent; to close it stays with the caller. Deno's connections
 * have no such thing, and end their direction before they close: so the C library does it, on the descriptor whose ends are the connection's.
 * Says whether it did: only on Linux, and where foreign functions are allowed.
 */
export function resetConnection({ localAddr, remoteAddr }: Pick<Deno.TcpConn, "localAddr" | "remoteAddr">): boolean {
  if (Deno.build.os !== "linux") return false;
  let library: Deno.DynamicLibrary<typeof SYMBOLS>;
  try {
    library = Deno.dlopen("libc.so.6", SYMBOLS);
  } catch {
    return false; // not allowed, or another C library
  }
  try {
    const { symbols: libc } = library;
    const [local, remote] = [textOf(localAddr), textOf(remoteAddr)];
    for (const { name } of Deno.readDirSync("/proc/self/fd")) {
      const fd = Number(name);
      if (addressOf(libc.getpeername, fd) !== remote || addressOf(libc.getsockname, fd) !== local) continue;
      return libc.connect(fd, NOWHERE, NOWHERE.length) === 0;
    }
    return false;
  } finally {
    library.close();
  }
}

/** The address that a call gives for a descriptor; of one that is no connection over IP it is `undefined`. */
function addressOf(call: Libc["getsockname"], fd: number): string | undefined {
  const bytes = new DataView(new ArrayBuffer(28)); // a sockaddr_in6
  if (call(fd, bytes.buffer, new Uint32Array([bytes.byteLength])) !== 0) return undefined;
  const [family, port] = [bytes.getUint16(0, true), bytes.getUint16(2)];
  if (family === AF_INET) return textOf({ hostname: Array.from(new Uint8Array(bytes.buffer, 4, 4)).join("."), port });
  if (family !== AF_INET6) return undefined;
  const groups = Array.from({ length: 8 }, (_, i) => bytes.getUint16(8 + 2 * i).toString(16));
  return textOf({ hostname: groups.join(":"), port });
}

/** One spelling for each address. */
function textOf({ hostname, port }: Pick<Deno.NetAddr, "hostname" | "port">): string {
  const [ip] = hostname.split("%");
  return `${ip!.includes(":") ? new URL(`http://[${ip}]`).hostname : ip} ${port}`;
}
