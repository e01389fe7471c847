import { Buffer } from "node:buffer";
import { createHash, createHmac, hkdfSync, timingSafeEqual } from "node:crypto";
import { type ResumeRequest, ScpError } from "../../../scp/mod.ts";
import { KEY_INFO, type Proof, resumeProofText, saltInput } from "../../../scp/v2/mod.ts";

/** What authenticates the resumes of a session of version 2, and their answers (protocol: Version 2: Resume). */
export class ResumeKey {
  /** A character for each byte: an array of them would take five times the memory in each session, and is hardly ever wanted. */
  readonly #text: string;

  /** `bytes`: 32, the secret, of which nothing is kept but a copy. */
  constructor(bytes: Uint8Array) {
    this.#text = Buffer.from(bytes).toString("latin1");
  }

  /** A copy. */
  get bytes(): Uint8Array<ArrayBuffer> {
    return Uint8Array.from(Buffer.from(this.#text, "latin1"));
  }

  /** That of a new session: of the secret of its two keys, and the contents of the records of its request and of the answer. */
  static of(secret: Uint8Array, request: string, answer: string): ResumeKey {
    const salt = createHash("sha256").update(saltInput(request, answer)).digest();
    return new ResumeKey(new Uint8Array(hkdfSync("sha256", secret, salt, KEY_INFO, 32)));
  }

  /** 32 bytes. */
  sign(text: string): Uint8Array<ArrayBuffer> {
    return new Uint8Array(createHmac("sha256", this.bytes).update(text).digest());
  }

  /** Throws `ScpError` 401 unless the proof of a resume request is of this key. */
  assertProves({ id, index }: Pick<ResumeRequest, "id" | "index">, { value, mac }: Proof): void {
    if (!this.verifies(resumeProofText(id, index, value), mac)) throw new ScpError(401, "the HMAC is wrong");
  }

  /** Whether `mac`, of 32 bytes, is of that text; in a time that does not tell where it differs. */
  verifies(text: string, mac: Uint8Array): boolean {
    return timingSafeEqual(this.sign(text), mac);
  }
}
