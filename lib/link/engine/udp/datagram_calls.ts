import { AF_INET6, MSG_NOSIGNAL, SO_RCVBUF, SOL_SOCKET, type System } from "../system.ts";

/** Of Linux; the same on x86_64 and aarch64. */
const SOCK_DGRAM = 2;
const SOCK_NONBLOCK = 0o4000;
const SOCK_CLOEXEC = 0o2000000;
const MSG_DONTWAIT = 0x40;
const SO_SNDBUF = 7;
export const IPPROTO_IP = 0;
export const IPPROTO_IPV6 = 41;
export const IP_PKTINFO = 8;
export const IPV6_PKTINFO = 50;
const IPV6_RECVPKTINFO = 49;

/** The size and what lies where in a `struct mmsghdr`, in words of 32 bits. */
export const HEADER = 16;
export const [NAME, NAME_LENGTH, VECTOR, VECTORS, CONTROL, CONTROL_LENGTH, FLAGS, LENGTH] = [0, 2, 4, 6, 8, 10, 12, 14];
/** Words of a `struct iovec`: where, and how many bytes. */
export const IOVEC = 4;
/** Words that a `struct sockaddr_in6` has, at the most, and a `struct cmsghdr` with a `struct in6_pktinfo`. */
export const ADDRESS = 7;
export const ANCILLARY = 10;

const SYMBOLS = {
  // The last one is the address of a time-out, of which there is none: as a number, which is faster than null.
  recvmmsg: { parameters: ["i32", "buffer", "u32", "i32", "usize"], result: "i32" },
  sendmmsg: { parameters: ["i32", "buffer", "u32", "i32"], result: "i32" },
  socket: { parameters: ["i32", "i32", "i32"], result: "i32" },
} as const;

/** The C library's calls for datagrams, of one thread. Those that give a number give -1 when they failed: then the system's `errno` says why. */
export class DatagramCalls {
  readonly #calls: Deno.DynamicLibrary<typeof SYMBOLS>["symbols"];

  static #opened: DatagramCalls | undefined;

  /** Those of this thread. Throws where there is no such library. They stay as long as the thread lives. */
  static open(): DatagramCalls {
    return DatagramCalls.#opened ??= new DatagramCalls();
  }

  private constructor() {
    this.#calls = Deno.dlopen("libc.so.6", SYMBOLS).symbols;
  }

  /** A descriptor of the caller's. */
  socket(family: number): number {
    return this.#calls.socket(family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  }

  /** How many datagrams came, at least 1, of at most as many as there are headers. */
  receive(fd: number, headers: Uint8Array<ArrayBuffer>): number {
    return this.#calls.recvmmsg(fd, headers, headers.byteLength / (4 * HEADER), MSG_DONTWAIT, 0n);
  }

  /** How many datagrams were taken, at least 1, of the first `count`, which have headers. */
  send(fd: number, headers: Uint8Array<ArrayBuffer>, count: number): number {
    return this.#calls.sendmmsg(fd, headers, count, MSG_DONTWAIT | MSG_NOSIGNAL);
  }
}

/** Has each datagram come with the address of ours that it was sent to. */
export function tellLocal(system: System, fd: number, family: number): void {
  if (family === AF_INET6) system.setOption(fd, IPPROTO_IPV6, IPV6_RECVPKTINFO, 1);
  else system.setOption(fd, IPPROTO_IP, IP_PKTINFO, 1);
}

/** Asks for as many bytes of each buffer, if for any, and gives what there is: the system counts twice what was asked for. */
export function sizeBuffers(
  system: System,
  fd: number,
  asked: { receiveBuffer?: number | undefined; sendBuffer?: number | undefined },
): { receiveBuffer: number; sendBuffer: number } {
  const size = (option: number, bytes: number | undefined) => {
    if (bytes !== undefined) system.setOption(fd, SOL_SOCKET, option, bytes);
    return system.getOption(fd, SOL_SOCKET, option) / 2;
  };
  return { receiveBuffer: size(SO_RCVBUF, asked.receiveBuffer), sendBuffer: size(SO_SNDBUF, asked.sendBuffer) };
}
