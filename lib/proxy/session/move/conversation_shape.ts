import type { Conversation, ConversationPlace } from "../../../link/kcp/conversation.ts";
import type { CongestionSnapshot } from "../../../link/kcp/machine/congestion.ts";
import type { InFlightSnapshot } from "../../../link/kcp/machine/in_flight.ts";
import type { KcpSnapshot } from "../../../link/kcp/machine/kcp.ts";
import type { KcpOptions } from "../../../link/kcp/machine/options.ts";
import type { ReceiverSnapshot } from "../../../link/kcp/machine/receiver.ts";
import type { RoundTripSnapshot } from "../../../link/kcp/machine/round_trip.ts";
import type { SenderSnapshot } from "../../../link/kcp/machine/sender.ts";
import type { WindowProbeSnapshot } from "../../../link/kcp/machine/window_probe.ts";
import { bytes, count, duration, endpoint, integer, list, object, optional, truth, tuple } from "./shape.ts";

const options = object<KcpOptions>({
  ...{ mtu: count, interval: count, nodelay: truth, resend: count, congestion: truth },
  ...{ sendWindow: count, receiveWindow: count, sendBytes: count, receiveBytes: count },
});
const sender = object<SenderSnapshot>({
  ...{ bytes, uncut: count, remoteWindow: count, resendAt: integer, proof: optional(list(integer)) },
  flight: object<InFlightSnapshot>({ una: integer, isOvertaken: truth, slots: bytes }),
  roundTrip: object<RoundTripSnapshot>({ variation: integer, smoothed: count, timeout: count }),
  congestion: optional(object<CongestionSnapshot>({ threshold: count, bytes: count, window: count })),
});
const receiver = object<ReceiverSnapshot>({
  ...{ next: integer, bytes, acks: list(integer) },
  early: list(tuple<ReceiverSnapshot["early"][0]>(integer, bytes)),
});
const machine = object<KcpSnapshot>({
  ...{ options, clock: integer, sender, receiver, isAsked: truth },
  probe: object<WindowProbeSnapshot>({ wait: duration, left: optional(duration) }),
  ...{ flushIn: optional(duration), resendIn: optional(duration) },
});

/** What a conversation of KCP looks like. */
export const conversation = object<Conversation>({
  ...{ conv: integer, machine, heardFor: duration, fedFor: duration },
  fec: optional(object<NonNullable<Conversation["fec"]>>({ data: count, parity: count, next: count })),
  place: object<ConversationPlace>({ at: endpoint, cookie: count, peer: bytes }),
});
