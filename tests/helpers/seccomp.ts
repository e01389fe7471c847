import assert from "node:assert/strict";

const PR_SET_SECCOMP = 22;
const PR_SET_NO_NEW_PRIVS = 38;
const SECCOMP_MODE_FILTER = 2n;
/** Of a filter: to load a word of what is called, to compare, to return. */
const [LOAD, IF_EQUAL, RETURN] = [0x20, 0x15, 0x06];
const [ALLOW, FAIL] = [0x7fff0000, 0x00050000];

/** Has a system call fail with that error, for good, in this thread and those that it starts: as containers do it. */
export function refuseCall(call: number, errno: number): void {
  const { prctl } = Deno.dlopen("libc.so.6", {
    prctl: { parameters: ["i32", "usize", "usize", "usize", "usize"], result: "i32" },
  }).symbols;
  const filter = new DataView(new ArrayBuffer(32)); // of `struct sock_filter`
  const steps = [[LOAD, 0, 0, 0], [IF_EQUAL, 0, 1, call], [RETURN, 0, 0, FAIL | errno], [RETURN, 0, 0, ALLOW]] as const;
  for (const [i, [code, ifSo, ifNot, value]] of steps.entries()) {
    filter.setUint16(8 * i, code, true);
    filter.setUint8(8 * i + 2, ifSo);
    filter.setUint8(8 * i + 3, ifNot);
    filter.setUint32(8 * i + 4, value, true);
  }
  const program = new DataView(new ArrayBuffer(16)); // a `struct sock_fprog`
  const addressOf = (view: DataView<ArrayBuffer>) => Deno.UnsafePointer.value(Deno.UnsafePointer.of(view));
  program.setUint16(0, steps.length, true);
  program.setBigUint64(8, BigInt(addressOf(filter)), true);
  assert.equal(prctl(PR_SET_NO_NEW_PRIVS, 1n, 0n, 0n, 0n), 0);
  assert.equal(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, BigInt(addressOf(program)), 0n, 0n), 0);
}
