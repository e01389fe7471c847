/**
 * Descriptors over Unix sockets, by the C library, of one thread: sendmsg(2), recvmsg(2), unix(7). Structures are laid out here as
 * x86_64 and aarch64 have them, which is the same. Calls that give a number give -1 when they failed: `System.errno` says why.
 */
import { System } from "../system.ts";

const MSG_CTRUNC = 8;
const MSG_DONTWAIT = 0x40;
const MSG_NOSIGNAL = 0x4000;
const MSG_CMSG_CLOEXEC = 0x40000000;
const SOL_SOCKET = 1;
const SCM_RIGHTS = 1;
const SO_PEERCRED = 17;
const F_DUPFD_CLOEXEC = 1030;

/** The most descriptors that the system takes at once (`SCM_MAX_FD`). */
export const MOST_DESCRIPTORS = 253;
/** The most bytes that go in one call. */
export const MOST_BYTES = 64 * 1024;

/** Where in the memory of a call these are, and fields of a `struct msghdr`, an `iovec` and a `cmsghdr` in them. */
const [HEADER, VECTOR, CONTROL] = [0, 56, 72];
const [VECTOR_AT, VECTOR_COUNT, CONTROL_AT, CONTROL_LENGTH, FLAGS] = [16, 24, 32, 40, 48];
const CONTROL_HEADER = 16;
const MOST_CONTROL = CONTROL_HEADER + aligned(4 * MOST_DESCRIPTORS);
const BYTES = CONTROL + MOST_CONTROL;

const SYMBOLS = {
  fcntl: { parameters: ["i32", "i32", "i32"], result: "i32" },
  getsockopt: { parameters: ["i32", "i32", "i32", "buffer", "buffer"], result: "i32" },
  recvmsg: { parameters: ["i32", "buffer", "i32"], result: "i32" },
  sendmsg: { parameters: ["i32", "buffer", "i32"], result: "i32" },
} as const;

/** What came in one call. */
export interface Received {
  /** Empty: the end. */
  bytes: Uint8Array<ArrayBuffer>;
  /** The caller's: all of those that were sent in one call, or none. */
  descriptors: number[];
  /** Not all came that were sent, as there were no numbers for them: those that came are closed. */
  isCut: boolean;
}

export class DescriptorCalls {
  readonly #calls: Deno.DynamicLibrary<typeof SYMBOLS>["symbols"];
  readonly #system = System.open();
  /** Of its own, so that it does not move: the header points to what is behind it. */
  readonly #memory = new Uint8Array(new ArrayBuffer(BYTES + MOST_BYTES));
  readonly #view = new DataView(this.#memory.buffer);
  readonly #address = Deno.UnsafePointer.value(Deno.UnsafePointer.of(this.#memory));

  static #opened: DescriptorCalls | undefined;

  /** Those of this thread. Throws where there is no such library. They stay as long as the thread lives. */
  static open(): DescriptorCalls {
    return DescriptorCalls.#opened ??= new DescriptorCalls();
  }

  private constructor() {
    this.#calls = Deno.dlopen("libc.so.6", SYMBOLS).symbols;
    this.#view.setBigUint64(VECTOR, this.#address + BigInt(BYTES), true);
  }

  /**
   * Sends bytes, at least one, at most `MOST_BYTES` of them, and with the first of these copies of the descriptors, at most
   * `MOST_DESCRIPTORS`, which stay the caller's. Gives how many bytes went: the descriptors did when any has.
   */
  send(fd: number, bytes: Uint8Array, descriptors: readonly number[]): number {
    const length = Math.min(bytes.length, MOST_BYTES);
    if (length === 0 || descriptors.length > MOST_DESCRIPTORS) throw new RangeError("nothing to send, or too much");
    this.#memory.set(length === bytes.length ? bytes : bytes.subarray(0, length), BYTES);
    const control = descriptors.length === 0 ? 0 : CONTROL_HEADER + 4 * descriptors.length;
    this.#prepare(length, control);
    if (control > 0) {
      this.#view.setBigUint64(CONTROL, BigInt(control), true);
      this.#view.setInt32(CONTROL + 8, SOL_SOCKET, true);
      this.#view.setInt32(CONTROL + 12, SCM_RIGHTS, true);
    }
    descriptors.forEach((each, i) => this.#view.setInt32(CONTROL + CONTROL_HEADER + 4 * i, each, true));
    return this.#calls.sendmsg(fd, this.#memory, MSG_DONTWAIT | MSG_NOSIGNAL);
  }

  /** What is there, at most `MOST_BYTES`, and up to the first bytes that descriptors came with; `undefined`: it failed. */
  receive(fd: number): Received | undefined {
    this.#prepare(MOST_BYTES, MOST_CONTROL);
    const count = this.#calls.recvmsg(fd, this.#memory, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
    if (count < 0) return undefined;
    const descriptors = [...this.#received()];
    const isCut = (this.#view.getInt32(HEADER + FLAGS, true) & MSG_CTRUNC) !== 0;
    if (isCut) { for (const each of descriptors.splice(0)) this.#system.close(each); }
    return { bytes: this.#memory.slice(BYTES, BYTES + count), descriptors, isCut };
  }

  /** Another descriptor of the same, which is the caller's. */
  duplicate(fd: number): number {
    return this.#calls.fcntl(fd, F_DUPFD_CLOEXEC, 0);
  }

  /** The user, by number, that the process at the other end of a Unix socket was of when it connected, or listened. */
  peerUser(fd: number): number {
    const credentials = new Int32Array(3); // a struct ucred: process, user, group
    const failed = this.#calls.getsockopt(fd, SOL_SOCKET, SO_PEERCRED, credentials, new Uint32Array([12])) < 0;
    return failed ? -1 : credentials[1]!;
  }

  #prepare(bytes: number, control: number): void {
    const view = this.#view;
    view.setBigUint64(VECTOR + 8, BigInt(bytes), true);
    view.setBigUint64(HEADER + VECTOR_AT, this.#address + BigInt(VECTOR), true);
    view.setBigUint64(HEADER + VECTOR_COUNT, 1n, true);
    view.setBigUint64(HEADER + CONTROL_AT, control > 0 ? this.#address + BigInt(CONTROL) : 0n, true);
    view.setBigUint64(HEADER + CONTROL_LENGTH, BigInt(control), true);
    view.setInt32(HEADER + FLAGS, 0, true);
  }

  /** The descriptors in the control data. */
  *#received(): Generator<number> {
    const view = this.#view;
    const end = CONTROL + Number(view.getBigUint64(HEADER + CONTROL_LENGTH, true));
    for (let at = CONTROL; at + CONTROL_HEADER <= end;) {
      const length = Number(view.getBigUint64(at, true));
      if (length < CONTROL_HEADER || at + length > end) return;
      const isRights = view.getInt32(at + 8, true) === SOL_SOCKET && view.getInt32(at + 12, true) === SCM_RIGHTS;
      for (let each = at + CONTROL_HEADER; isRights && each + 4 <= at + length; each += 4) {
        yield view.getInt32(each, true);
      }
      at += aligned(length);
    }
  }
}

/** The next multiple of 8. */
function aligned(length: number): number {
  return (length + 7) & ~7;
}
