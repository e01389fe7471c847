import { FecDecoder, type FecVerdict } from "../../lib/link/kcp/fec/decoder.ts";
import { FecEncoder } from "../../lib/link/kcp/fec/encoder.ts";
import { ReedSolomon } from "../../lib/link/kcp/fec/reed_solomon.ts";

/** What a decoder gave on. */
export interface Delivery {
  segments: Uint8Array;
  isRegular: boolean;
}

/** The datagrams that an encoder makes of each of these segments, and of each group's parity if `withParity` says so. */
export function encodeAll(encoder: FecEncoder, all: Uint8Array[], withParity = true): Uint8Array[] {
  const datagrams: Uint8Array[] = [];
  for (const segments of all) encoder.encode(segments, (datagram) => datagrams.push(datagram.slice()), withParity);
  return datagrams;
}

/** An encoder and a decoder of groups of this size; `input` gives what a datagram led to. */
export function fecPair(data: number, parity: number, first = 0) {
  const code = new ReedSolomon(data, parity);
  const decoder = new FecDecoder(code);
  return {
    encoder: new FecEncoder(code, first),
    decoder,
    input: (datagram: Uint8Array, now = 0): { verdict: FecVerdict; deliveries: Delivery[] } => {
      const deliveries: Delivery[] = [];
      const verdict = decoder.input(datagram, now, (segments, isRegular) => {
        deliveries.push({ segments: segments.slice(), isRegular });
      });
      return { verdict, deliveries };
    },
  };
}
