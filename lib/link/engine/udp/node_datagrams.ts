import dgram, { type RemoteInfo, type Socket } from "node:dgram";
import { isIP } from "node:net";
import { setImmediate } from "node:timers";
import type { Endpoint } from "../../link.ts";
import { type ConnectedDatagrams, type DatagramPeer, type DatagramSocket, LONGEST_DATAGRAM } from "./datagrams.ts";
import { NodePeer, oneSpelling } from "./node_peer.ts";

/** Datagrams that wait for the one before them, at the most. */
const MOST_UNSENT = 256;
/** Peers that are kept, at the most. */
const MOST_PEERS = 8192;
/** How the system says that nobody takes what is sent to an address. */
const REFUSALS: ReadonlySet<string> = new Set(["ECONNREFUSED", "ECONNRESET", "EHOSTUNREACH", "ENETUNREACH"]);

type Done = (error: Error | null) => void;

/** `ip`: that of the host. Rejects with the system's error when the address cannot be had. */
export async function bind(ip: string, { hostname, port }: Endpoint): Promise<DatagramSocket> {
  const socket = open(ip);
  await settled(socket, (done) => socket.bind({ address: ip, port }, done));
  return new NodeDatagrams(socket, { hostname, port: socket.address().port });
}

/** Rejects when it is no IP address, or there is no socket. */
export async function connect(to: Endpoint): Promise<ConnectedDatagrams> {
  if (!isIP(to.hostname.split("%")[0]!)) throw new Error(`${JSON.stringify(to.hostname)} is no IP address`);
  const socket = open(to.hostname);
  await settled(socket, (done) => socket.bind({ port: 0 }, done));
  await settled(socket, (done) => socket.connect(to.port, to.hostname, done as () => void));
  const { address, port } = socket.address();
  return new NodeConnected(socket, { hostname: address, port }, to);
}

/** A socket of `node:dgram`: in Deno and Node, on every system, also without the flag that Deno's own has. */
class NodeDatagrams implements DatagramSocket {
  readonly address: Endpoint;
  readonly isShared = false;
  /** They stay as the system has them: of what Deno takes for the first it makes a new one for each datagram. */
  readonly receiveBuffer = 0;
  readonly sendBuffer = 0;
  readonly losses = { tooLong: 0, unsent: 0 };
  onDatagram: DatagramSocket["onDatagram"] = () => {};
  onRound: (() => void) | undefined;
  readonly #socket: Socket;
  readonly #peers = new Map<string, NodePeer>();
  /** In their order: Deno would send two at once in any. The first is being sent. */
  readonly #unsent: { bytes: Uint8Array; peer: NodePeer }[] = [];
  #isInRound = false;
  readonly #closed: Promise<void>;
  #tellClosed!: () => void;
  protected isClosed = false;

  /** Owns the socket. */
  constructor(socket: Socket, address: Endpoint) {
    this.#socket = socket;
    this.#closed = new Promise((resolve) => this.#tellClosed = resolve);
    this.address = address;
    // Of what was sent: that is lost, no more.
    socket.on("error", (error) => this.failed(error));
    socket.on("message", (bytes, { address, port }: RemoteInfo) => {
      this.#received(bytes as Uint8Array<ArrayBuffer>, this.peerOf(address, port));
    });
  }

  send(bytes: Uint8Array, peer: DatagramPeer): boolean {
    const isSent = !this.isClosed && bytes.length <= LONGEST_DATAGRAM && this.#unsent.length < MOST_UNSENT;
    if (!isSent) this.losses.unsent++;
    else if (this.#unsent.push({ bytes: bytes.slice(), peer: peer as NodePeer }) === 1) this.#sendNext();
    return isSent;
  }

  keep(peer: DatagramPeer): void {
    if (this.#peers.size === MOST_PEERS) this.#peers.clear();
    this.#peers.set(peer.key, peer as NodePeer);
  }

  close(): Promise<void> {
    if (!this.isClosed && this.#unsent.length === 0) this.#socket.close(this.#tellClosed);
    this.isClosed = true;
    return this.#closed;
  }

  /** `undefined`: whatever it sends is not to be heard. */
  protected peerOf(address: string, port: number): NodePeer | undefined {
    return this.#peers.get(`${address} ${port}`) ?? new NodePeer(address, port, this.address);
  }

  protected transmit(socket: Socket, bytes: Uint8Array, { address, port }: NodePeer, done: Done): void {
    socket.send(bytes, port, address, done);
  }

  /** The system says why something that was sent does not arrive. */
  protected failed(_error: Error): void {}

  #sendNext(): void {
    const { bytes, peer } = this.#unsent[0]!;
    this.transmit(this.#socket, bytes, peer, (error) => {
      if (error) {
        this.losses.unsent++;
        this.failed(error);
      }
      this.#unsent.shift();
      if (this.#unsent.length > 0) this.#sendNext();
      else if (this.isClosed) this.#socket.close(this.#tellClosed);
    });
  }

  #received(bytes: Uint8Array<ArrayBuffer>, peer: NodePeer | undefined): void {
    if (this.isClosed || !peer) return;
    if (bytes.length > LONGEST_DATAGRAM) this.losses.tooLong++;
    // As itself: of Node's buffers `slice` is no copy.
    else this.onDatagram(new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.length), peer);
    if (this.#isInRound) return;
    this.#isInRound = true;
    // What came with it is told before that.
    setImmediate(() => {
      this.#isInRound = false;
      if (!this.isClosed) this.onRound?.();
    });
  }
}

/** One that is connected; in Deno only as far as it shows: there the system neither sorts what comes, nor tells who refuses. */
class NodeConnected extends NodeDatagrams implements ConnectedDatagrams {
  readonly peer: NodePeer;
  onRefused: ((error: Error) => void) | undefined;
  readonly #from: string;

  constructor(socket: Socket, address: Endpoint, { hostname, port }: Endpoint) {
    super(socket, address);
    this.peer = new NodePeer(hostname, port, address);
    this.#from = oneSpelling(hostname);
  }

  protected override peerOf(address: string, port: number): NodePeer | undefined {
    return port === this.peer.port && oneSpelling(address) === this.#from ? this.peer : undefined;
  }

  protected override transmit(socket: Socket, bytes: Uint8Array, _: NodePeer, done: Done): void {
    socket.send(bytes, done);
  }

  protected override failed(error: Error & { code?: string }): void {
    if (!this.isClosed && REFUSALS.has(error.code ?? "")) this.onRefused?.(error);
  }
}

function open(ip: string): Socket {
  return dgram.createSocket(ip.includes(":") ? "udp6" : "udp4");
}

/** Settles when a step of a socket is done; if it fails the socket is closed. */
async function settled(socket: Socket, step: (done: (error?: Error) => void) => void): Promise<void> {
  try {
    await new Promise<void>((resolve, reject) => {
      socket.once("error", reject);
      step((error) => error ? reject(error) : resolve());
    });
    socket.removeAllListeners("error");
  } catch (error) {
    socket.close();
    throw error;
  }
}
