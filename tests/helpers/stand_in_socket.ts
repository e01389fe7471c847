import type { ConnectedDatagrams, DatagramPeer } from "../../lib/link/engine/udp/datagrams.ts";

const ADDRESS = { hostname: "127.0.0.1", port: 1 };

/** A socket that goes nowhere: a test sees what is sent, and says what comes. */
export class StandIn implements ConnectedDatagrams {
  readonly address = ADDRESS;
  readonly isShared = false;
  readonly receiveBuffer = 0;
  readonly sendBuffer = 0;
  readonly losses = { tooLong: 0, unsent: 0 };
  readonly peer: DatagramPeer = { key: "", remote: ADDRESS, local: ADDRESS };
  readonly sent: Uint8Array<ArrayBuffer>[] = [];
  isClosed = false;
  onDatagram: ConnectedDatagrams["onDatagram"] = () => {};
  onRound: (() => void) | undefined;
  onRefused: ((error: Error) => void) | undefined;

  send(bytes: Uint8Array): boolean {
    this.sent.push(bytes.slice());
    return true;
  }

  keep(): void {}

  close(): Promise<void> {
    this.isClosed = true;
    return Promise.resolve();
  }
}
