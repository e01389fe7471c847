/**
 * The C library's sockets, on Linux: all that knows numbers, layouts and errno. What it gives and takes are descriptors, which
 * nothing may close twice: a number belongs to whoever opened something last.
 */

/** Of Linux; the same on x86_64 and aarch64. */
export const AF_UNIX = 1;
export const AF_INET = 2;
export const AF_INET6 = 10;
const SOCK_STREAM = 1;
const SOCK_NONBLOCK = 0o4000;
const SOCK_CLOEXEC = 0o2000000;
const STREAM_FLAGS = SOCK_NONBLOCK | SOCK_CLOEXEC;
export const MSG_NOSIGNAL = 0x4000;
const SHUT_WR = 1;

export const SOL_SOCKET = 1;
export const SO_REUSEADDR = 2;
const SO_ERROR = 4;
export const SO_RCVBUF = 8;
export const SO_KEEPALIVE = 9;
export const SO_OOBINLINE = 10;
const SO_LINGER = 13;
export const SO_REUSEPORT = 15;
const SO_COOKIE = 57;
export const IPPROTO_TCP = 6;
export const TCP_NODELAY = 1;
export const TCP_KEEPIDLE = 4;
export const TCP_KEEPINTVL = 5;
export const TCP_KEEPCNT = 6;
const TCP_INFO = 11;
/** Words of a `struct tcp_info`: `tcpi_last_data_sent` and `tcpi_last_ack_recv`, and a byte of it, `tcpi_probes`. */
const LAST_DATA_SENT = 11;
const LAST_ACK_RECEIVED = 14;
const PROBES = 3;
/** Bytes that the other end has not acknowledged. */
const SIOCOUTQ = 0x5411;
const CLOCK_MONOTONIC = 1;

export const EPOLLIN = 1;
export const EPOLLPRI = 2;
export const EPOLLOUT = 4;
export const EPOLLERR = 8;
export const EPOLLHUP = 0x10;
export const EPOLLRDHUP = 0x2000;
const EPOLLET = 0x80000000;
const EPOLL_CLOEXEC = SOCK_CLOEXEC;
const EPOLL_CTL_ADD = 1;
const EPOLL_CTL_DEL = 2;
const EPOLL_CTL_MOD = 3;
/** Whatever may be of interest of a connection. */
export const ALL_EVENTS = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLPRI;

export const EINTR = 4;
export const EIO = 5;
export const EAGAIN = 11;
export const ECONNREFUSED = 111;
export const EINPROGRESS = 115;
export const ENOBUFS = 105;
export const ECANCELED = 125;

/** How a call that waits fails that is to be made again: EINTR, EAGAIN, ENOMEM, EBUSY, ETIME. */
const PASSING: readonly number[] = [EINTR, EAGAIN, 12, 16, 62];
/** So often in a row waiting may fail in some other way before it is taken for what it says. */
const MOST_STRANGE = 8;
/** How calls fail that are for files and processes: ENOENT, ESRCH, ECHILD, EEXIST, ENOTDIR, EISDIR, ENOTTY, ESPIPE, ERANGE. */
const OF_FILES: readonly number[] = [2, 3, 10, 17, 20, 21, 25, 29, 34];

/** How accepting fails for a client that is gone, or that may not come: ECONNABORTED, EPROTO, ENETDOWN, EHOSTUNREACH, EPERM. */
export const CLIENT_IS_GONE: readonly number[] = [103, 71, 100, 113, 1];

/** What code asks for by name; others have their number only. */
const CODES: Record<number, string> = {
  1: "EPERM",
  2: "ENOENT",
  11: "EAGAIN",
  12: "ENOMEM",
  13: "EACCES",
  23: "ENFILE",
  24: "EMFILE",
  32: "EPIPE",
  98: "EADDRINUSE",
  99: "EADDRNOTAVAIL",
  103: "ECONNABORTED",
  104: "ECONNRESET",
  105: "ENOBUFS",
  110: "ETIMEDOUT",
  111: "ECONNREFUSED",
};

const SYMBOLS = {
  __errno_location: { parameters: [], result: "pointer" },
  accept4: { parameters: ["i32", "buffer", "buffer", "i32"], result: "i32" },
  bind: { parameters: ["i32", "buffer", "u32"], result: "i32" },
  clock_gettime: { parameters: ["i32", "buffer"], result: "i32" },
  close: { parameters: ["i32"], result: "i32" },
  connect: { parameters: ["i32", "buffer", "u32"], result: "i32" },
  epoll_create1: { parameters: ["i32"], result: "i32" },
  epoll_ctl: { parameters: ["i32", "i32", "i32", "buffer"], result: "i32" },
  epoll_wait: { parameters: ["i32", "buffer", "i32", "i32"], result: "i32" },
  epoll_wait_in_pool: {
    name: "epoll_wait",
    parameters: ["i32", "buffer", "i32", "i32"],
    result: "i32",
    nonblocking: true,
  },
  eventfd: { parameters: ["u32", "i32"], result: "i32" },
  getpeername: { parameters: ["i32", "buffer", "buffer"], result: "i32" },
  getsockname: { parameters: ["i32", "buffer", "buffer"], result: "i32" },
  getsockopt: { parameters: ["i32", "i32", "i32", "buffer", "buffer"], result: "i32" },
  if_nametoindex: { parameters: ["buffer"], result: "u32" },
  ioctl: { parameters: ["i32", "i32", "buffer"], result: "i32" },
  listen: { parameters: ["i32", "i32"], result: "i32" },
  // Lengths and results of 32 bits, which are the fast ones: no call asks for more bytes than that.
  recv: { parameters: ["i32", "buffer", "u32", "i32"], result: "i32" },
  send: { parameters: ["i32", "buffer", "u32", "i32"], result: "i32" },
  poll: { parameters: ["buffer", "u32", "i32"], result: "i32", nonblocking: true },
  read: { parameters: ["i32", "buffer", "u32"], result: "i32" },
  setsockopt: { parameters: ["i32", "i32", "i32", "buffer", "u32"], result: "i32" },
  shutdown: { parameters: ["i32", "i32"], result: "i32" },
  socket: { parameters: ["i32", "i32", "i32"], result: "i32" },
  socketpair: { parameters: ["i32", "i32", "i32", "buffer"], result: "i32" },
  strerror: { parameters: ["i32"], result: "pointer" },
  write: { parameters: ["i32", "buffer", "u32"], result: "i32" },
} as const;

/** A call that failed, in the words that Deno has for it. */
export class SystemError extends Error {
  /** `ECONNRESET`, and the like; of a rare one `E` and its number. */
  readonly code: string;

  constructor(errno: number, text: string) {
    super(`${text} (os error ${errno})`);
    this.code = CODES[errno] ?? `E${errno}`;
  }
}

/** The events of one `wait`. */
export class Events {
  readonly bytes: Uint8Array<ArrayBuffer>;
  readonly capacity: number;
  readonly #words: Int32Array;
  /** 32-bit words of a `struct epoll_event`, and where its data are: it is packed on x86_64 only. */
  readonly #size = Deno.build.arch === "x86_64" ? 3 : 4;
  readonly #data = Deno.build.arch === "x86_64" ? 1 : 2;

  constructor(capacity: number) {
    this.capacity = capacity;
    // Of its own, so that it does not move: the kernel fills one while JavaScript runs.
    const buffer = new ArrayBuffer(capacity * this.#size * 4);
    this.bytes = new Uint8Array(buffer);
    this.#words = new Int32Array(buffer);
  }

  flags(i: number): number {
    return this.#words[i * this.#size]!;
  }

  slot(i: number): number {
    return this.#words[i * this.#size + this.#data]!;
  }

  generation(i: number): number {
    return this.#words[i * this.#size + this.#data + 1]!;
  }

  set(flags: number, slot: number, generation: number): void {
    this.#words[0] = flags;
    this.#words[this.#data] = slot;
    this.#words[this.#data + 1] = generation;
  }
}

/** The system calls, of one thread. Those that give a number give -1 when they failed: then `errno` says why, until the next call. */
export class System {
  readonly #calls: Deno.DynamicLibrary<typeof SYMBOLS>["symbols"];
  readonly #errno: Int32Array;
  readonly #number = new Int32Array(1);
  readonly #length = new Uint32Array(1);
  readonly #change = new Events(1);
  readonly #info = new Uint32Array(LAST_ACK_RECEIVED + 1);
  readonly #cookie = new BigUint64Array(1);
  readonly #time = new BigInt64Array(2);
  readonly #infoBytes = new Uint8Array(this.#info.buffer);
  /** How often in a row waiting has failed in a way that is not its own. */
  #strange = 0;

  static #opened: System | undefined;

  /** That of this thread. Throws where there is no such library, or it may not be used. It stays open as long as the thread lives. */
  static open(): System {
    return System.#opened ??= new System();
  }

  private constructor() {
    this.#calls = Deno.dlopen("libc.so.6", SYMBOLS).symbols;
    this.#errno = new Int32Array(Deno.UnsafePointerView.getArrayBuffer(this.#calls.__errno_location()!, 4));
  }

  /** Of what the runtime calls between a call and this look, it may be another's: see `transferErrno`. */
  get errno(): number {
    return this.#errno[0]!;
  }

  /** Why a call failed that accepts, sends or receives. What no such call fails with is another's: then it is to be made again, as by EINTR. */
  get transferErrno(): number {
    const { errno } = this;
    return OF_FILES.includes(errno) ? EINTR : errno;
  }

  /**
   * What a call that waits gave: how much there is. Where it failed there is nothing, as after a signal, and it is to be made again; also
   * when `errno` says what it does not fail with. Throws when it goes on to say so: nobody would hear of anything any more.
   */
  waited(result: number): number {
    const isStrange = result < 0 && !PASSING.includes(this.errno);
    this.#strange = isStrange ? this.#strange + 1 : 0;
    if (this.#strange >= MOST_STRANGE) throw this.error();
    return Math.max(0, result);
  }

  /** What the last call failed with. */
  error(errno: number = this.errno): SystemError {
    return new SystemError(errno, Deno.UnsafePointerView.getCString(this.#calls.strerror(errno)!));
  }

  /** Milliseconds of a clock that only goes on, and is the same in all processes. */
  now(): number {
    this.#calls.clock_gettime(CLOCK_MONOTONIC, this.#time);
    return Number(this.#time[0]) * 1e3 + Number(this.#time[1]) / 1e6;
  }

  /** A descriptor of the caller's. */
  socket(family: number): number {
    return this.#calls.socket(family, SOCK_STREAM | STREAM_FLAGS, 0);
  }

  /** The two ends of a connection within the process: descriptors of the caller's. Throws when they cannot be had. */
  socketPair(): [number, number] {
    const ends = new Int32Array(2);
    if (this.#calls.socketpair(AF_UNIX, SOCK_STREAM | STREAM_FLAGS, 0, ends) < 0) throw this.error();
    return [ends[0]!, ends[1]!];
  }

  bind(fd: number, address: Uint8Array<ArrayBuffer>): number {
    return this.#calls.bind(fd, address, address.length);
  }

  listen(fd: number, backlog: number): number {
    return this.#calls.listen(fd, backlog);
  }

  connect(fd: number, address: Uint8Array<ArrayBuffer>): number {
    return this.#calls.connect(fd, address, address.length);
  }

  /** A descriptor of the caller's; the address of the other end is written to `address`, which must be long enough for any. */
  accept(fd: number, address: Uint8Array<ArrayBuffer>): number {
    this.#length[0] = address.length;
    return this.#calls.accept4(fd, address, this.#length, STREAM_FLAGS);
  }

  /** How long the address is that a call wrote. */
  localAddress(fd: number, address: Uint8Array<ArrayBuffer>): number {
    this.#length[0] = address.length;
    return this.#calls.getsockname(fd, address, this.#length);
  }

  remoteAddress(fd: number, address: Uint8Array<ArrayBuffer>): number {
    this.#length[0] = address.length;
    return this.#calls.getpeername(fd, address, this.#length);
  }

  /** The number of a network interface, by its name; 0: there is none. */
  interfaceNumber(name: string): number {
    return this.#calls.if_nametoindex(new TextEncoder().encode(`${name}\0`));
  }

  /** How many bytes came into `bytes`, at most `most`, of at least 1; 0: the end of the stream. */
  receive(fd: number, bytes: Uint8Array<ArrayBuffer>, most: number): number {
    // The kernel would write beyond its end.
    return this.#calls.recv(fd, bytes, most < bytes.byteLength ? most : bytes.byteLength, 0);
  }

  send(fd: number, bytes: Uint8Array<ArrayBuffer>): number {
    return this.#calls.send(fd, bytes, bytes.byteLength, MSG_NOSIGNAL);
  }

  shutdownWrite(fd: number): number {
    return this.#calls.shutdown(fd, SHUT_WR);
  }

  /** The number is free from then on, whatever this gives: it is not to be called again. */
  close(fd: number): void {
    this.#calls.close(fd);
  }

  setOption(fd: number, level: number, name: number, value: number): number {
    this.#number[0] = value;
    return this.#calls.setsockopt(fd, level, name, this.#number, 4);
  }

  getOption(fd: number, level: number, name: number): number {
    this.#length[0] = 4;
    this.#number[0] = 0;
    this.#calls.getsockopt(fd, level, name, this.#number, this.#length);
    return this.#number[0]!;
  }

  /** So that `close` resets the connection. */
  setNoLinger(fd: number): number {
    return this.#calls.setsockopt(fd, SOL_SOCKET, SO_LINGER, new Int32Array([1, 0]), 8);
  }

  /** The error of a connection, which is told once; 0: there is none. */
  takeError(fd: number): number {
    return this.getOption(fd, SOL_SOCKET, SO_ERROR);
  }

  /**
   * Milliseconds since the other end's system was heard of, when it has not answered the last that it was sent: data, or a probe of
   * a window that it closed. Between two such probes may be minutes, in which nothing is to be answered. 0: it has answered, or it
   * is something else than a TCP connection.
   */
  silence(fd: number): number {
    this.#length[0] = this.#info.byteLength;
    if (this.#calls.getsockopt(fd, IPPROTO_TCP, TCP_INFO, this.#info, this.#length) < 0) return 0;
    const heard = this.#info[LAST_ACK_RECEIVED]!;
    return this.#infoBytes[PROBES]! > 0 || this.#info[LAST_DATA_SENT]! < heard ? heard : 0;
  }

  /** Bytes sent that the other end's system has not acknowledged; an end that was sent counts one. */
  unacknowledged(fd: number): number {
    this.#number[0] = 0;
    this.#calls.ioctl(fd, SIOCOUTQ, this.#number);
    return this.#number[0]!;
  }

  /** A number that no other socket of the system ever has; 0: it is no socket. */
  cookie(fd: number): number {
    this.#length[0] = this.#cookie.byteLength;
    const failed = this.#calls.getsockopt(fd, SOL_SOCKET, SO_COOKIE, this.#cookie, this.#length) < 0;
    return failed ? 0 : Number(this.#cookie[0]);
  }

  /** Throws, and has closed it, when it is no socket: not every engine says so when it begins to watch it. */
  assertSocket(fd: number): void {
    if (this.cookie(fd) > 0) return;
    const error = this.error();
    this.close(fd);
    throw error;
  }

  createEpoll(): number {
    return this.#calls.epoll_create1(EPOLL_CLOEXEC);
  }

  /** What it tells once, each time that it comes to be so. */
  watch(epoll: number, fd: number, slot: number, generation: number, events = ALL_EVENTS): number {
    this.#change.set((events | EPOLLET) | 0, slot, generation);
    return this.#calls.epoll_ctl(epoll, EPOLL_CTL_ADD, fd, this.#change.bytes);
  }

  /** Has what is watched tell of these events from now on, and of what is so already. */
  watchFor(epoll: number, fd: number, slot: number, generation: number, events: number): number {
    this.#change.set((events | EPOLLET) | 0, slot, generation);
    return this.#calls.epoll_ctl(epoll, EPOLL_CTL_MOD, fd, this.#change.bytes);
  }

  unwatch(epoll: number, fd: number): void {
    this.#calls.epoll_ctl(epoll, EPOLL_CTL_DEL, fd, this.#change.bytes);
  }

  /** How many events there are, after at most `timeout` milliseconds; none when a signal came. */
  wait(epoll: number, events: Events, timeout: number): number {
    return this.waited(this.#calls.epoll_wait(epoll, events.bytes, events.capacity, timeout));
  }

  /** The same in a thread of the pool, while this one goes on. `events` is not to be touched meanwhile. */
  async waitInPool(epoll: number, events: Events, timeout: number): Promise<number> {
    const n = await this.#calls.epoll_wait_in_pool(epoll, events.bytes, events.capacity, timeout);
    // Its errno is the other thread's.
    return n < 0 ? this.wait(epoll, events, 0) : n;
  }

  /** A descriptor of the caller's whose waiter `ring` wakes, from whichever thread. */
  createBell(): number {
    return this.#calls.eventfd(0, STREAM_FLAGS);
  }

  ring(bell: number): void {
    this.#calls.write(bell, new BigUint64Array([1n]), 8);
  }

  /** What rang before does not count any more. */
  hush(bell: number): void {
    this.#calls.read(bell, new Uint8Array(8), 8);
  }

  /** Waits in a thread of the pool until it rings, at most so many milliseconds. Gives whether it did. */
  async waitForBell(bell: number, timeout: number): Promise<boolean> {
    const request = new Int32Array(new ArrayBuffer(8)); // a `struct pollfd`, which does not move
    request[0] = bell;
    request[1] = EPOLLIN;
    await this.#calls.poll(new Uint8Array(request.buffer), 1, timeout);
    return request[1]! >>> 16 !== 0; // until then this keeps the memory, which nothing else does
  }
}
