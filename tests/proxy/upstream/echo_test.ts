import assert from "node:assert/strict";
import { EchoLink } from "../../../lib/proxy/upstream/echo.ts";
import { readExactly, readToEnd } from "../../helpers/backend.ts";
import { assertSameBytes } from "../../helpers/bytes.ts";
import { pattern } from "../../helpers/random.ts";

Deno.test("EchoLink gives back what is written, in pieces as the reads ask", async () => {
  const link = new EchoLink();
  const written = link.write(pattern(0, 100));
  assertSameBytes(await readExactly(link, 30), pattern(0, 30));
  const rest = readExactly(link, 80);
  await written;
  await link.write(pattern(100, 10));
  assertSameBytes(await rest, pattern(30, 80));
});

Deno.test("EchoLink gives what was written, then the end, after closeWrite()", async () => {
  const link = new EchoLink();
  const written = link.write(pattern(0, 10));
  await link.closeWrite();
  assertSameBytes(await readToEnd(link), pattern(0, 10));
  await written;
  await assert.rejects(link.write(pattern(0, 1)), /has ended/);
});

Deno.test("EchoLink ends what is pending at close()", async () => {
  const writer = new EchoLink();
  const written = writer.write(pattern(0, 10));
  writer.close();
  await written;
  const reader = new EchoLink();
  const read = reader.read(new Uint8Array(1));
  reader.close();
  assert.equal(await read, null);
});
