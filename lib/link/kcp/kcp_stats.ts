import { type Counters, newCounters } from "./machine/counters.ts";

/**
 * Why a datagram was dropped: see `Verdict`; what FEC puts around it cannot be; it has FEC, and there is none here; it is of no
 * conversation, and begins none; so many have begun that it has to be asked for again.
 */
export const JUNK = ["short", "long", "conv", "command", "cut", "malformed", "fec", "unknown", "full"] as const;
export type Junk = (typeof JUNK)[number];

/** What has happened since the start, as plain values. */
export interface KcpStats {
  segments: Counters;
  junk: Record<Junk, number>;
}

export function newKcpStats(): KcpStats {
  return { segments: newCounters(), junk: Object.fromEntries(JUNK.map((cause) => [cause, 0])) as Record<Junk, number> };
}

/** What there is now. */
export interface KcpGauges {
  conversations: number;
  /** Those among them whose client's address is not proven. */
  unproven: number;
  /** Milliseconds that a segment and its ACK take: the sum of those of which that is known, and how many these are. */
  roundTrips: number;
  measured: number;
  /** Datagrams that sockets have lost since they were opened: see `DatagramLosses`. */
  tooLong: number;
  unsent: number;
}

export function newKcpGauges(): KcpGauges {
  return { conversations: 0, unproven: 0, roundTrips: 0, measured: 0, tooLong: 0, unsent: 0 };
}
