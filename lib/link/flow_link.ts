import type { Flow, FlowingLink, Sink } from "./flow.ts";

interface Pending {
  bytes: Uint8Array<ArrayBuffer>;
  resolve: (n: number | null) => void;
  reject: (error: unknown) => void;
}

/** A flow as a link: for what is done once, as a handshake, or by awaiting, as streams do. It owns the flow. */
export class FlowLink implements FlowingLink, Sink {
  readonly flow: Flow;
  #reading: Pending | undefined;
  #writing: Pending | undefined;
  #isEnded = false;
  #error: unknown;

  constructor(flow: Flow) {
    this.flow = flow;
    flow.sink = this;
  }

  read(bytes: Uint8Array): Promise<number | null> {
    return new Promise((resolve, reject) => {
      if (this.#error !== undefined) return reject(this.#error);
      if (this.#isEnded) return resolve(null);
      // To be told of at most nothing looks like an end.
      if (bytes.length === 0) return resolve(0);
      this.#reading = { bytes: bytes as Uint8Array<ArrayBuffer>, resolve, reject };
      this.flow.resume(bytes.length);
    });
  }

  write(bytes: Uint8Array): Promise<number> {
    return new Promise((resolve, reject) => {
      if (this.#error !== undefined) return reject(this.#error);
      this.#writing = { bytes: bytes as Uint8Array<ArrayBuffer>, resolve: resolve as Pending["resolve"], reject };
      this.writable();
    });
  }

  closeWrite(): Promise<void> {
    if (this.#error !== undefined) return Promise.reject(this.#error);
    this.flow.closeWrite();
    return Promise.resolve();
  }

  /** With an `error`, whatever it is, reads and writes reject with it from now on. */
  close(error?: unknown): void {
    this.flow.close();
    this.#isEnded = true;
    this.#settle(error);
  }

  reset(): void {
    this.flow.reset();
    this.close();
  }

  readable(bytes: Uint8Array): void {
    const { bytes: buffer, resolve } = this.#takeReading()!;
    this.flow.pause();
    buffer.set(bytes);
    resolve(bytes.length);
  }

  writable(): void {
    const pending = this.#writing;
    if (!pending) return;
    try {
      const n = this.flow.write(pending.bytes);
      if (n === 0 && pending.bytes.length > 0) return;
      this.#writing = undefined;
      pending.resolve(n);
    } catch (error) {
      this.#writing = undefined;
      pending.reject(error);
    }
  }

  ended(): void {
    this.#isEnded = true;
    this.#takeReading()?.resolve(null);
  }

  lost(error: unknown): void {
    this.#settle(error);
  }

  #settle(error: unknown): void {
    this.#error ??= error;
    const reading = this.#takeReading();
    if (error === undefined) reading?.resolve(null);
    else reading?.reject(error);
    this.#writing?.reject(error === undefined ? new Error("the connection is closed") : error);
    this.#writing = undefined;
  }

  #takeReading(): Pending | undefined {
    const reading = this.#reading;
    this.#reading = undefined;
    return reading;
  }
}
