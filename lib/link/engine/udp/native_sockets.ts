import type { Endpoint } from "../../link.ts";
import { decodeEndpoint, LONGEST_ADDRESS } from "../sockaddr.ts";
import type { AdoptOptions, ConnectedDatagrams, DatagramPeer, PassableDatagrams } from "./datagrams.ts";
import { NativeDatagrams, type Shared, type Traits } from "./native_datagrams.ts";
import { NativePeer, PEER_WORDS, Peers, wordsOf } from "./native_peer.ts";

/** One for whoever sends to its address. */
export class BoundSocket extends NativeDatagrams implements PassableDatagrams {
  readonly address: Endpoint;
  readonly #peers: Peers;

  /** `hostname`: as it was asked for. */
  constructor(shared: Shared, fd: number, hostname: string, traits: Traits, use?: AdoptOptions["use"]) {
    super(shared, fd, traits, use);
    const local = localOf(shared, fd);
    this.address = { hostname, port: local.port };
    this.#peers = new Peers(local);
  }

  keep(peer: DatagramPeer): void {
    this.#peers.keep(peer as NativePeer);
  }

  bytesOf(peer: DatagramPeer): Uint8Array<ArrayBuffer> {
    return new Uint8Array((peer as NativePeer).words.slice().buffer);
  }

  peerOf(bytes: Uint8Array): DatagramPeer {
    if (bytes.length !== 4 * PEER_WORDS) throw new RangeError(`a peer of ${bytes.length} bytes`);
    return this.#peers.of(new Int32Array(bytes.slice().buffer));
  }

  protected senderOf(i: number): DatagramPeer {
    return this.#peers.of(this.shared.incoming.peer(i));
  }

  protected destination(peer: DatagramPeer): NativePeer {
    return peer as NativePeer;
  }
}

/** One for whom it is connected to. */
export class ConnectedSocket extends NativeDatagrams implements ConnectedDatagrams {
  readonly address: Endpoint;
  readonly peer: DatagramPeer;
  onRefused: ((error: Error) => void) | undefined;

  /** `to`: as a `struct sockaddr`. */
  constructor(shared: Shared, fd: number, to: Uint8Array<ArrayBuffer>, traits: Traits) {
    super(shared, fd, traits);
    this.address = localOf(shared, fd);
    this.peer = new NativePeer(wordsOf(to), this.address);
  }

  /** There is but one. */
  keep(): void {}

  protected senderOf(): DatagramPeer {
    return this.peer;
  }

  protected destination(): undefined {
    return undefined;
  }

  protected override refused(errno: number): void {
    const { poller } = this.shared;
    const error = poller.system.error(errno);
    poller.again({ serve: () => void (!this.isClosed && this.onRefused?.(error)), onEvents() {} });
  }
}

function localOf({ poller: { system } }: Shared, fd: number): Endpoint {
  const address = new Uint8Array(LONGEST_ADDRESS);
  system.localAddress(fd, address);
  return decodeEndpoint(address);
}
