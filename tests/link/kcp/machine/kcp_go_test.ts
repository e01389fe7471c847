import assert from "node:assert/strict";
import type { Kcp } from "../../../../lib/link/kcp/machine/kcp.ts";
import { HAS_KCP_GO, KcpGo } from "../../../helpers/kcp_go.ts";
import { KcpOverUdp } from "../../../helpers/kcp_over_udp.ts";
import { pattern, patternAt, Random } from "../../../helpers/random.ts";

const TOTAL = 300_000;

/** Sends a pattern to an echo of kcp-go until all of it has come back. */
async function echoedBy(program: KcpGo, loss: number, random: Random): Promise<void> {
  const peer = await program.serve();
  let [sent, received] = [0, 0];
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const write = (kcp: Kcp) => {
    while (sent < TOTAL && kcp.room > 0) sent += kcp.send(pattern(sent, Math.min(1 + sent % 5000, TOTAL - sent)));
  };
  const onDatagram = (kcp: Kcp) => {
    for (let bytes; (bytes = kcp.receive());) {
      for (const byte of bytes) if (byte !== patternAt(received++)) reject(new Error(`byte ${received - 1} is wrong`));
    }
    if (received === TOTAL) resolve();
    write(kcp);
  };
  await using end = new KcpOverUdp({ random, loss, peer, onDatagram });
  write(end.kcp!);
  await promise;
  assert(end.kcp!.isProven, "it gave no ts back");
}

/** Echoes what kcp-go sends until all of the pattern has come back to it. */
async function echoes(program: KcpGo, loss: number, random: Random): Promise<void> {
  let waiting = new Uint8Array(0);
  const onDatagram = (kcp: Kcp) => {
    for (let bytes; (bytes = kcp.receive());) waiting = Uint8Array.from([...waiting, ...bytes]);
    waiting = waiting.subarray(kcp.send(waiting));
  };
  await using end = new KcpOverUdp({ random, loss, onDatagram });
  const child = program.dial(end.address);
  const writing = new Blob([pattern(0, TOTAL)]).stream().pipeTo(child.stdin, { preventClose: true });
  let received = 0;
  for await (const bytes of child.stdout) {
    for (const byte of bytes) assert.equal(byte, patternAt(received++));
    if (received === TOTAL) break;
  }
  await writing;
  await child.stdin.close();
}

Deno.test("kcp-go and a machine give each other all bytes", { ignore: !HAS_KCP_GO }, async (test) => {
  const random = new Random();
  await using program = await KcpGo.build();
  for (const loss of [0, 0.1, 0.3]) {
    const path = `over a path that loses ${loss * 100} %, seed ${random.seed}`;
    await test.step(`it echoes, ${path}`, () => echoedBy(program, loss, random.fork()));
    await test.step(`it is echoed, ${path}`, () => echoes(program, loss, random.fork()));
  }
});
