/** The system calls of io_uring, by the C library, of one thread. Those that give a number give -1 when they failed. */

/** The same on x86_64 and aarch64. */
const SETUP = 425;
const ENTER = 426;
const REGISTER = 427;

const PROT_READ_WRITE = 3;
const MAP_SHARED_POPULATE = 0x8001;
const MAP_PRIVATE_ANONYMOUS = 0x22;

/** The size of an argument goes by the stack, where a number of 32 bits would leave half of it as it was. */
const SYMBOLS = {
  enter: {
    name: "syscall",
    parameters: ["i32", "i32", "u32", "u32", "u32", "usize", "usize"],
    result: "i32",
  },
  register: { name: "syscall", parameters: ["i32", "i32", "u32", "buffer", "u32"], result: "i32" },
  setup: { name: "syscall", parameters: ["i32", "u32", "buffer"], result: "i32" },
  mmap: { parameters: ["usize", "usize", "i32", "i32", "i32", "i64"], result: "pointer" },
  munmap: { parameters: ["pointer", "usize"], result: "i32" },
} as const;

/** Memory of the system's: it does not move, and goes back when it is told so, not before. */
export interface Mapping {
  pointer: Deno.PointerObject;
  address: number;
  buffer: ArrayBuffer;
}

export class RingCalls {
  readonly #calls: Deno.DynamicLibrary<typeof SYMBOLS>["symbols"];

  static #opened: RingCalls | undefined;

  /** Those of this thread. Throws where there is no such library. They stay as long as the thread lives. */
  static open(): RingCalls {
    return RingCalls.#opened ??= new RingCalls();
  }

  private constructor() {
    this.#calls = Deno.dlopen("libc.so.6", SYMBOLS).symbols;
  }

  /** A descriptor of the caller's. Reads and writes `params`. */
  setup(entries: number, params: Uint8Array<ArrayBuffer>): number {
    return this.#calls.setup(SETUP, entries, params);
  }

  /** `argument`: the address of a `struct io_uring_getevents_arg`, of that size; both 0: none. */
  enter(ring: number, submit: number, least: number, flags: number, argument: bigint, size: bigint): number {
    return this.#calls.enter(ENTER, ring, submit, least, flags, argument, size);
  }

  register(ring: number, what: number, argument: Uint8Array<ArrayBuffer>, count: number): number {
    return this.#calls.register(REGISTER, ring, what, argument, count);
  }

  /** Memory of a descriptor, at an offset; without one, memory of nobody else's. Throws when there is none. */
  map(length: number, ring?: { fd: number; offset: number }): Mapping {
    const flags = ring ? MAP_SHARED_POPULATE : MAP_PRIVATE_ANONYMOUS;
    const { fd, offset } = ring ?? { fd: -1, offset: 0 };
    const pointer = this.#calls.mmap(0n, BigInt(length), PROT_READ_WRITE, flags, fd, BigInt(offset));
    const address = Number(BigInt.asIntN(64, BigInt(Deno.UnsafePointer.value(pointer))));
    if (pointer === null || address === -1) throw new Error(`no ${length} bytes of memory for io_uring`);
    return { pointer, address, buffer: Deno.UnsafePointerView.getArrayBuffer(pointer, length) };
  }

  /** Its buffer is detached first: whoever touched it later would end the process. */
  unmap({ pointer, buffer }: Mapping): void {
    const { byteLength } = buffer;
    buffer.transfer();
    this.#calls.munmap(pointer, BigInt(byteLength));
  }
}
