import type { Link } from "../../lib/link/link.ts";

/** A link whose every read and write settles when the test says so; `close()` leaves them pending, as a slow system would. */
export class ManualLink implements Link {
  /** What was written so far, each write a copy. */
  readonly written: Uint8Array[] = [];
  closed = false;
  writeClosed = false;
  #read: { buffer: Uint8Array; settle: PromiseWithResolvers<number | null> } | undefined;
  #write: { length: number; settle: PromiseWithResolvers<number> } | undefined;
  readonly #autoWrite: boolean;

  /** `autoWrite`: writes settle at once. */
  constructor({ autoWrite = true }: { autoWrite?: boolean } = {}) {
    this.#autoWrite = autoWrite;
  }

  get reading(): boolean {
    return this.#read !== undefined;
  }

  /** How many bytes the pending read has room for. */
  get wanted(): number {
    return this.#read!.buffer.length;
  }

  get writing(): boolean {
    return this.#write !== undefined;
  }

  read(buffer: Uint8Array): Promise<number | null> {
    const settle = Promise.withResolvers<number | null>();
    this.#read = { buffer, settle };
    return settle.promise;
  }

  write(bytes: Uint8Array): Promise<number> {
    this.written.push(bytes.slice());
    if (this.#autoWrite) return Promise.resolve(bytes.length);
    const settle = Promise.withResolvers<number>();
    this.#write = { length: bytes.length, settle };
    return settle.promise;
  }

  closeWrite(): Promise<void> {
    this.writeClosed = true;
    return Promise.resolve();
  }

  close(): void {
    this.closed = true;
  }

  /** The pending read brings these bytes; `null`: the end of the stream; an error: it fails. */
  bring(outcome: Uint8Array | null | Error): void {
    const { buffer, settle } = this.#read!;
    this.#read = undefined;
    if (outcome instanceof Error) return settle.reject(outcome);
    if (outcome) buffer.set(outcome);
    settle.resolve(outcome && outcome.length);
  }

  /** The pending write takes so many bytes, all unless told otherwise; an error: it fails. */
  take(outcome?: number | Error): void {
    const { length, settle } = this.#write!;
    this.#write = undefined;
    if (outcome instanceof Error) settle.reject(outcome);
    else settle.resolve(outcome ?? length);
  }
}
