import * as v from "valibot";
import { parseSize, parseTime, SIZE_FORM, TIME_FORM } from "../units.ts";
import { expected, flag, listenAddress, quantity, section, time, whole } from "../values.ts";

/** Milliseconds, of what KCP takes; kcp-go takes its least for all below. */
const SHORTEST_INTERVAL = 1;
const SHORTEST_OF_GO = 10;
const LONGEST_INTERVAL = 5000;

const anInterval = "expected 1ms to 5s";
const interval = v.pipe(
  quantity(TIME_FORM, parseTime, 0),
  v.minValue(SHORTEST_INTERVAL, anInterval),
  v.maxValue(LONGEST_INTERVAL, anInterval),
);

const mtu = whole("a number of bytes", 50, 1500);
const resend = whole("a number of ACKs", 0, 65535);
const window = whole("a number of segments", 1, 65535);
/** 0: as the system sees fit. */
const buffer = v.pipe(quantity(SIZE_FORM, parseSize, 0), v.maxValue(2 ** 30, "expected at most 1GiB"));

/** What a listener of KCP has beside its address, in an entry of `listen`. */
export const kcpEntries = {
  mtu: v.optional(mtu),
  interval: v.optional(interval),
  resend: v.optional(resend),
  nodelay: v.optional(flag),
  congestion: v.optional(flag),
  send_window: v.optional(window),
  receive_window: v.optional(window),
  fec: v.optional(
    v.strictObject({
      data: whole("a number of datagrams", 1, 255),
      parity: whole("a number of datagrams", 1, 255),
    }, expected("a map with data and parity")),
  ),
  read_timeout: v.optional(time),
  read_buffer: v.optional(buffer),
  write_buffer: v.optional(buffer),
};

/** goscon's own form of such a listener: where, and how. Empty: there is none. */
export const kcp = v.nullish(
  v.union([v.pipe(v.literal(""), v.transform(() => undefined)), listenAddress], expected("host:port")),
);

const shards = v.nullish(whole("a number of datagrams", 0, 255), 0);
const number = (what: string) => whole(what, 0, 2 ** 31 - 1);

export const kcpOption = section({
  // What a thread each has a socket of, how datagrams are filled, and when they go, is no choice here.
  reuseport: v.nullish(number("a number of sockets")),
  opt_stream: v.nullish(flag),
  opt_writedelay: v.nullish(flag),
  read_timeout: v.nullish(time),
  read_buffer: v.nullish(buffer),
  write_buffer: v.nullish(buffer),
  fec_data_shards: shards,
  fec_parity_shards: shards,
  opt_mtu: v.nullish(mtu),
  opt_interval: v.nullish(v.pipe(
    number("a number of milliseconds"),
    v.transform((ms) => Math.min(Math.max(ms, SHORTEST_OF_GO), LONGEST_INTERVAL)),
  )),
  opt_resend: v.nullish(resend),
  opt_nodelay: v.nullish(flag),
  opt_nc: v.nullish(flag),
  opt_sndwnd: v.nullish(window),
  opt_rcvwnd: v.nullish(window),
});

export type KcpEntries = v.InferOutput<v.StrictObjectSchema<typeof kcpEntries, undefined>>;
export type KcpOptionSection = v.InferOutput<typeof kcpOption>;
