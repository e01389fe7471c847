import type { KcpListen } from "../types.ts";
import { formatSize, formatTime } from "../units.ts";
import type { KcpEntries, KcpOptionSection } from "./schema.ts";

/** goscon's. */
const BUFFER = 4 * 2 ** 20;
const DEFAULTS = {
  mtu: 1400,
  interval: 10,
  resend: 2,
  noDelay: true,
  congestion: false,
  sendWindow: 2048,
  receiveWindow: 2048,
  readTimeout: 60_000,
};

/** What an entry of `listen` says of KCP. */
export function kcpOf(entry: KcpEntries): KcpListen {
  return {
    mtu: entry.mtu ?? DEFAULTS.mtu,
    interval: entry.interval ?? DEFAULTS.interval,
    resend: entry.resend ?? DEFAULTS.resend,
    noDelay: entry.nodelay ?? DEFAULTS.noDelay,
    congestion: entry.congestion ?? DEFAULTS.congestion,
    sendWindow: entry.send_window ?? DEFAULTS.sendWindow,
    receiveWindow: entry.receive_window ?? DEFAULTS.receiveWindow,
    ...(entry.fec && { fec: entry.fec }),
    readTimeout: entry.read_timeout ?? DEFAULTS.readTimeout,
    ...buffersOf(entry.read_buffer ?? BUFFER, entry.write_buffer ?? BUFFER),
  };
}

/** What goscon's section `kcp_option` says, in which either number of FEC that is 0 means that there is none. */
export function kcpOfGoscon(option: KcpOptionSection): KcpListen {
  const { fec_data_shards: data, fec_parity_shards: parity, opt_nc: isUncontrolled } = option;
  return kcpOf({
    mtu: option.opt_mtu ?? undefined,
    interval: option.opt_interval ?? undefined,
    resend: option.opt_resend ?? undefined,
    nodelay: option.opt_nodelay ?? undefined,
    congestion: isUncontrolled === undefined || isUncontrolled === null ? undefined : !isUncontrolled,
    send_window: option.opt_sndwnd ?? undefined,
    receive_window: option.opt_rcvwnd ?? undefined,
    fec: data > 0 && parity > 0 ? { data, parity } : undefined,
    read_timeout: option.read_timeout ?? undefined,
    read_buffer: option.read_buffer ?? undefined,
    write_buffer: option.write_buffer ?? undefined,
  });
}

/** The values of such an entry, by their keys. */
export function plainKcp(kcp: KcpListen): Record<string, unknown> {
  return {
    mtu: kcp.mtu,
    interval: formatTime(kcp.interval),
    resend: kcp.resend,
    nodelay: kcp.noDelay,
    congestion: kcp.congestion,
    send_window: kcp.sendWindow,
    receive_window: kcp.receiveWindow,
    ...(kcp.fec && { fec: kcp.fec }),
    read_timeout: formatTime(kcp.readTimeout),
    read_buffer: formatSize(kcp.readBuffer ?? 0),
    write_buffer: formatSize(kcp.writeBuffer ?? 0),
  };
}

/** 0: as the system sees fit. */
function buffersOf(readBuffer: number, writeBuffer: number): Pick<KcpListen, "readBuffer" | "writeBuffer"> {
  return { ...(readBuffer > 0 && { readBuffer }), ...(writeBuffer > 0 && { writeBuffer }) };
}
