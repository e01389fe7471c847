import { setImmediate } from "node:timers";
import type { DatagramPeer, PassableDatagrams } from "../../lib/link/engine/udp/datagrams.ts";
import type { RemainsOfKcp } from "../../lib/link/kcp/conversation.ts";
import { FEC_HEADER, kindOf, segmentsOf as coveredBy, seqidOf } from "../../lib/link/kcp/fec/fec_frame.ts";
import type { ReedSolomon } from "../../lib/link/kcp/fec/reed_solomon.ts";
import type { KcpLink } from "../../lib/link/kcp/kcp_link.ts";
import type { Came } from "../../lib/link/kcp/away.ts";
import { KcpListening, type Surroundings } from "../../lib/link/kcp/kcp_listening.ts";
import { type Junk, type KcpGauges, newKcpGauges, newKcpStats } from "../../lib/link/kcp/kcp_stats.ts";
import { Newcomers } from "../../lib/link/kcp/newcomers.ts";
import { bytesOf, datagramOf, OPTIONS, type Segment, segmentsOf, textOf, type Wanted } from "./kcp_stage.ts";
import { until } from "./turns.ts";

/** A listening over a socket that a test has in its hands: peers are names. */
export class KcpListeningStage implements AsyncDisposable {
  readonly stats = newKcpStats();
  readonly listening: KcpListening;
  /** Conversations that have begun, in their order, and who began them. */
  readonly links: KcpLink[] = [];
  readonly junk: Junk[] = [];
  closes = 0;
  onGone: Surroundings["onGone"];
  isSocketClosed = false;
  /** What another descriptor of the socket is; -1: there is none left. */
  fd = 4711;
  /** What went to other threads. */
  readonly away: [thread: number, came: Came[]][] = [];
  /** The numbers of the datagrams with FEC that were sent. */
  readonly seqids: number[] = [];
  /** Milliseconds of the clock by which conversations begin. */
  now = 0;
  /** Who is known to send much. */
  readonly kept: string[] = [];
  readonly losses = { tooLong: 0, unsent: 0 };
  readonly #newcomers: Newcomers;
  readonly #sent = new Map<string, Segment[]>();
  readonly socket: PassableDatagrams;

  /** `threads`: of which this one has its part of those whose address is not proven. */
  constructor({ fec, readTimeout = 0, threads }: { fec?: ReedSolomon; readTimeout?: number; threads?: number } = {}) {
    this.#newcomers = new Newcomers(threads, () => this.now);
    const address = { hostname: "10.0.0.1", port: 1248 };
    this.socket = {
      ...{ address, isShared: false, receiveBuffer: 0, sendBuffer: 0, losses: this.losses },
      onDatagram: () => {},
      onRound: undefined,
      send: (bytes, { key }) => {
        if (kindOf(bytes) !== "plain") this.seqids.push(seqidOf(bytes));
        const segments = kindOf(bytes) === "data" ? coveredBy(bytes.subarray(FEC_HEADER)) : bytes;
        if (kindOf(bytes) !== "parity") this.sentTo(key).push(...segmentsOf(segments!));
        return true;
      },
      keep: ({ key }) => this.kept.push(key),
      cookie: 5,
      duplicate: () => {
        if (this.fd < 0) throw new Error("no descriptor is left");
        return this.fd;
      },
      pause() {},
      resume() {},
      bytesOf: ({ key }) => bytesOf(key) as Uint8Array<ArrayBuffer>,
      peerOf: (bytes) => peerOf(textOf(bytes)),
      close: () => {
        this.isSocketClosed = true;
        return Promise.resolve();
      },
    };
    this.listening = new KcpListening(this.socket, { kcp: OPTIONS, readTimeout, ...(fec && { fec }) }, {
      stats: this.stats,
      soon: setImmediate,
      newcomers: this.#newcomers,
      onConnection: (link) => this.links.push(link),
      onClose: () => this.closes++,
      onJunk: (cause) => this.junk.push(cause),
      onGone: (...args) => this.onGone?.(...args),
      onAway: (thread, came) => this.away.push([thread, came]),
    });
  }

  get gauges(): KcpGauges {
    const sum = newKcpGauges();
    this.listening.addTo(sum);
    return { ...sum, unproven: this.#newcomers.size };
  }

  /** What went to a peer. */
  sentTo(name: string): Segment[] {
    const sent = this.#sent.get(name) ?? [];
    this.#sent.set(name, sent);
    return sent;
  }

  /** A datagram comes from a peer. */
  comes(name: string, bytes: Uint8Array<ArrayBuffer>): void {
    this.socket.onDatagram(bytes, peerOf(name));
  }

  /** Goes on with a conversation that another one had. */
  adopt(remains: RemainsOfKcp): KcpLink {
    const link = this.listening.adopt(remains);
    this.links.push(link);
    return link;
  }

  /** What came at once is all told. */
  round(): void {
    this.socket.onRound?.();
  }

  /** One of these segments. */
  input(name: string, ...segments: Wanted[]): void {
    this.comes(name, datagramOf(...segments));
  }

  /** Writes to a client, which acknowledges what it gets, with its ts. */
  async prove(name: string, link: KcpLink): Promise<void> {
    const before = this.sentTo(name).length;
    await link.write(bytesOf("answer") as Uint8Array<ArrayBuffer>);
    const isPush = ({ command }: Segment) => command === "push";
    await until(() => this.sentTo(name).slice(before).some(isPush), () => `nothing went to ${name}`);
    const { conv, ts, sn } = this.sentTo(name).findLast(isPush)!;
    this.input(name, { conv, command: "ack", ts, sn, una: sn + 1 });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const link of this.links) link.close();
    await this.listening.close();
  }
}

/** What a link has next. */
export async function nextOf(link: KcpLink): Promise<string> {
  const buffer = new Uint8Array(100);
  const n = await link.read(buffer);
  return n === null ? "end" : textOf(buffer.subarray(0, n));
}

function peerOf(name: string): DatagramPeer {
  return { key: name, remote: { hostname: name, port: 9 }, local: { hostname: "10.0.0.1", port: 1248 } };
}
