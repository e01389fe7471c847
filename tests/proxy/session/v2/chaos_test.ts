import assert from "node:assert/strict";
import { writeAll } from "../../../../lib/link/link.ts";
import { AckedClient } from "../../../helpers/acked_client.ts";
import { Backend, readToEnd } from "../../../helpers/backend.ts";
import { assertSameBytes } from "../../../helpers/bytes.ts";
import { dialer } from "../../../helpers/cutting_link.ts";
import { TestProxy } from "../../../helpers/proxy.ts";
import { pattern, Random } from "../../../helpers/random.ts";

const SIZE = 400_000;

/** Comes again whenever the link is lost, until the client has nothing to come for. */
async function comeAgain(client: AckedClient, isDone: () => boolean): Promise<number> {
  for (let resumes = 0;;) {
    await client.until(() => isDone() || !client.stream.isAttached);
    if (isDone()) return resumes;
    // An attempt that is cut is followed by another.
    await client.resume().then(() => resumes++, () => {});
  }
}

for (const [dialect, abandon] of [["goscon", 0], ["plain", 0.5]] as const) {
  Deno.test(`links that are cut anywhere, by whom it may be, both ways: all arrives, and both ends, dialect ${dialect}`, async () => {
    const random = new Random();
    try {
      await using backend = new Backend();
      await using proxy = TestProxy.start({ hosts: [{ addr: backend.address }], shutdown_timeout: "10ms" });
      const address = dialect === "plain" ? proxy.plainAddress : proxy.address;
      const { dial, bury } = dialer({ address, cutWithin: 60_000, abandon, random });
      // The first lives through its handshake, whose records are longer than those of version 1.
      using client = await openOnce(address, { dialect, dial });
      const far = await backend.accept();
      const coming = comeAgain(client, () => client.hasEnded && client.session.isSentDone);
      const sending = client.send(pattern(0, SIZE, 2)).then(() => client.stream.finish());
      const writing = writeAll(far, pattern(0, SIZE, 1)).then(() => far.closeWrite());
      assertSameBytes(await readToEnd(far), pattern(0, SIZE, 2));
      await Promise.all([sending, writing]);
      const resumes = await coming;
      assertSameBytes(client.received, pattern(0, SIZE, 1));
      assert(resumes >= 5, `${resumes} resumes`);
      assert.equal((await proxy.log.nth("session ended")).reason, "upstream closed");
      client.stream.abort();
      bury();
    } catch (error) {
      throw new Error(`seed ${random.seed}`, { cause: error });
    }
  });
}

/** Opens a session over a connection of its own that is not cut, and goes on over one that may be. */
async function openOnce(
  address: string,
  { dialect, dial }: { dialect: "goscon" | "plain"; dial: () => ReturnType<ReturnType<typeof dialer>["dial"]> },
): Promise<AckedClient> {
  const client = await AckedClient.open(address, { dialect });
  client.dial = dial;
  while (!await client.resume().then(() => true, () => false));
  return client;
}
