/** Values of ts that are kept until one is given back. */
const MOST = 32;

/** Whether the peer is where its datagrams say that they come from: it gave back a ts that was sent there. */
export class Proof {
  #sent: number[] | undefined = [];

  /** The values that are kept; missing: one was given back. */
  get snapshot(): number[] | undefined {
    return this.#sent?.slice();
  }

  /** Is from now on as that one was. */
  goOnFrom(sent: readonly number[] | undefined): void {
    this.#sent = sent?.slice();
  }

  get isGiven(): boolean {
    return !this.#sent;
  }

  /** Went to the peer. */
  sent(ts: number): void {
    const sent = this.#sent;
    if (sent && sent.length < MOST && sent.at(-1) !== ts) sent.push(ts);
  }

  /** Came from the peer. */
  echoed(ts: number): void {
    if (this.#sent?.includes(ts)) this.#sent = undefined;
  }
}
