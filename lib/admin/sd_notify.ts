import { join } from "node:path";

/** Tells systemd of the state of the service (sd_notify(3)). */
export interface ServiceNotifier {
  ready(): void;
  reloading(): void;
  stopping(): void;
  /** Settles when all was told, or nobody took it for a second. */
  close(): Promise<void>;
}

/** Does nothing: nobody wants to know. */
const SILENT: ServiceNotifier = { ready() {}, reloading() {}, stopping() {}, close: () => Promise.resolve() };

/** Milliseconds that the last words may take. */
const PATIENCE = 1000;

/**
 * Tells whoever listens on `NOTIFY_SOCKET`, and, with `WATCHDOG_USEC`, that the process lives, twice in that time, as long as it `isWell`. Throws when
 * the socket cannot be used: an abstract one, which Deno cannot send to, is such.
 */
export function openNotifier(
  isWell: () => boolean,
  env: { get(name: string): string | undefined } = Deno.env,
): ServiceNotifier {
  const path = env.get("NOTIFY_SOCKET");
  if (!path) return SILENT;
  if (!path.startsWith("/")) throw new Error(`Cannot notify ${path}: only sockets in the file system are supported`);
  const own = join(Deno.makeTempDirSync({ prefix: "goscon-" }), "notify.sock");
  const socket = Deno.listenDatagram({ transport: "unixpacket", path: own });
  // One after another: the socket sends but one at a time, and its queue is short.
  let last: Promise<unknown> = Promise.resolve();
  let pending = 0;
  const send = (state: string) => {
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
    ready: () => send("READY=1"),
    reloading: () => send("RELOADING=1"),
    stopping: () => send("STOPPING=1"),
    close: async () => {
      clearInterval(timer);
      const late = Promise.withResolvers<void>();
      const patience = setTimeout(late.resolve, PATIENCE);
      await Promise.race([last, late.promise]);
      clearTimeout(patience);
      socket.close();
      Deno.removeSync(join(own, ".."), { recursive: true });
    },
  };
}
