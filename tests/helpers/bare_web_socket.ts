import assert from "node:assert/strict";
import { type Link, writeAll } from "../../lib/link/link.ts";
import { readExactly } from "./backend.ts";

const LONGEST = 16 * 1024;

/** The client's end of a WebSocket that reads no further ahead than it is read. It answers no pings. */
export class BareWebSocket implements Link {
  readonly #link: Link;
  /** Bytes of the message that are still to come. */
  #left = 0;

  private constructor(link: Link) {
    this.#link = link;
  }

  /** Over a link, which it owns. */
  static async open(link: Link, path = "/scp"): Promise<BareWebSocket> {
    const head = [
      `GET ${path} HTTP/1.1`,
      "Host: test",
      "Connection: Upgrade",
      "Upgrade: websocket",
      "Sec-WebSocket-Version: 13",
      "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
    ];
    await writeAll(link, new TextEncoder().encode(`${head.join("\r\n")}\r\n\r\n`));
    let answer = "";
    while (!answer.endsWith("\r\n\r\n")) {
      const byte = await readExactly(link, 1);
      assert.equal(byte.length, 1, `the connection ended after ${JSON.stringify(answer)}`);
      answer += String.fromCharCode(byte[0]!);
    }
    assert.match(answer, /^HTTP\/1\.1 101 /);
    return new BareWebSocket(link);
  }

  async read(buffer: Uint8Array): Promise<number | null> {
    while (this.#left === 0) {
      const [first = 0, second] = await readExactly(this.#link, 2);
      if (second === undefined) return null;
      const size = second < 126 ? [second] : await readExactly(this.#link, second === 126 ? 2 : 8);
      this.#left = [...size].reduce((sum, byte) => sum * 256 + byte, 0);
      // Only what continues a message, or is a binary one, has bytes of the stream.
      if ((first & 15) > 2) this.#left -= (await readExactly(this.#link, this.#left)).length;
    }
    const n = await this.#link.read(buffer.subarray(0, this.#left));
    this.#left -= n ?? this.#left;
    return n;
  }

  /** With a mask of zeros. */
  async write(bytes: Uint8Array): Promise<number> {
    const n = Math.min(bytes.length, LONGEST);
    await writeAll(this.#link, Uint8Array.of(0x82, 0x80 | 126, n >> 8, n & 255, 0, 0, 0, 0, ...bytes.subarray(0, n)));
    return n;
  }

  closeWrite(): Promise<void> {
    return this.#link.closeWrite();
  }

  close(): void {
    this.#link.close();
  }
}
