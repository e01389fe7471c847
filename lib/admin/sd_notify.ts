import { join } from "node:path";
import { monotonicMicroseconds } from "../link/libc.ts";
import { reasonOf } from "../link/link.ts";
import type { Log } from "../log.ts";
import { within } from "../within.ts";

/** Tells systemd of the state of the service (sd_notify(3)). */
export interface ServiceNotifier {
  /** `status`: what is not as it should be, in a sentence. */
  ready(status?: string): void;
  /** A reload begins; `ready` ends it. Where the system's clock cannot be had nothing is told. */
  reloading(): void;
  /** The end takes longer: it is to be waited for 30 s more. */
  extend(): void;
  stopping(): void;
  /** Another process is the service from now on: nothing more is told by this one. Settles as `close`. */
  handOver(pid: number): Promise<void>;
  /** Settles when all was told, or nobody took it for a second. */
  close(): Promise<void>;
}

/** Does nothing: nobody wants to know. */
const SILENT: ServiceNotifier = {
  ready() {},
  reloading() {},
  extend() {},
  stopping() {},
  handOver: () => Promise.resolve(),
  close: () => Promise.resolve(),
};

/** Milliseconds by which the end is put off, each time. */
const MORE = 30_000;
/** Milliseconds that the last words may take. */
const PATIENCE = 1000;

/**
 * Tells whoever listens on `NOTIFY_SOCKET`, and, with `WATCHDOG_USEC`, that the process lives, twice in that time, as long as
 * it `isWell`. A socket that cannot be used is a warning: an abstract one, which Deno cannot send to, is such.
 */
export function openNotifier(
  log: Log,
  isWell: () => boolean,
  env: { get(name: string): string | undefined } = Deno.env,
): ServiceNotifier {
  const path = env.get("NOTIFY_SOCKET");
  if (!path) return SILENT;
  let own: string;
  let socket: Deno.DatagramConn;
  try {
    if (!path.startsWith("/")) throw new Error("only sockets in the file system are supported");
    own = join(Deno.makeTempDirSync({ prefix: "goscon-" }), "notify.sock");
    socket = Deno.listenDatagram({ transport: "unixpacket", path: own });
  } catch (error) {
    log.warning("systemd cannot be notified", { socket: path, reason: reasonOf(error) });
    return SILENT;
  }
  // One after another: the socket sends but one at a time, and its queue is short.
  let last: Promise<unknown> = Promise.resolve();
  let pending = 0;
  let isOver = false;
  const send = (state: string) => {
    if (isOver) return;
    pending++;
    // Whoever listened may be gone: that is no reason to stop serving.
    last = last.then(() => socket.send(new TextEncoder().encode(state), { transport: "unixpacket", path }))
      .catch(() => {}).then(() => pending--);
  };
  const watchdog = Number(env.get("WATCHDOG_USEC") ?? 0) / 1000;
  const alive = () => {
    if (pending === 0 && isWell()) send("WATCHDOG=1");
  };
  const timer = watchdog > 0 ? setInterval(alive, watchdog / 2) : undefined;
  return {
    ready: (status = "") => send(`READY=1\nSTATUS=${status}`),
    reloading: () => {
      const now = monotonicMicroseconds();
      // Without the time systemd cannot tell this reload from one before, and would wait for another one.
      if (now !== undefined) send(`RELOADING=1\nMONOTONIC_USEC=${now}`);
    },
    extend: () => send(`EXTEND_TIMEOUT_USEC=${MORE * 1000}`),
    stopping: () => send("STOPPING=1"),
    handOver: async (pid) => {
      send(`READY=1\nSTATUS=\nMAINPID=${pid}`);
      isOver = true;
      await within(PATIENCE, last);
    },
    close: async () => {
      clearInterval(timer);
      await within(PATIENCE, last);
      socket.close();
      Deno.removeSync(join(own, ".."), { recursive: true });
    },
  };
}
