import type { Link } from "../../lib/link/link.ts";
import { WebSocketFlow } from "../../lib/client/web_socket_flow.ts";
import { FlowLink } from "../../lib/link/flow_link.ts";

/** A WebSocket server on a random port of 127.0.0.1 that hands each connection to a test, which can cut them all. */
export class WsServer implements AsyncDisposable {
  /** How many connections there were. */
  connections = 0;
  readonly #open = new Set<WebSocket>();
  readonly #handled = new Set<Promise<void>>();
  readonly #handle: (link: Link, socket: WebSocket) => Promise<void>;
  readonly #respond: (request: Request) => Response;
  readonly #server: Deno.HttpServer<Deno.NetAddr>;

  /** `handle` has the link until it settles. `respond`: what other requests get. */
  constructor(
    handle: (link: Link, socket: WebSocket) => Promise<void>,
    respond: (request: Request) => Response = () => new Response(null, { status: 404 }),
  ) {
    this.#handle = handle;
    this.#respond = respond;
    this.#server = Deno.serve(
      { hostname: "127.0.0.1", port: 0, onListen: () => {} },
      (request) => request.headers.get("upgrade") === "websocket" ? this.#upgrade(request) : this.#respond(request),
    );
  }

  /** `ws://host:port/`. */
  get url(): string {
    return `ws://127.0.0.1:${this.port}/`;
  }

  get port(): number {
    return this.#server.addr.port;
  }

  /** Closes every connection with a code that says that something is wrong; their clients have to come again. */
  cut(): void {
    for (const socket of this.#open) socket.close(4000, "cut by the test");
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.cut();
    await this.#server.shutdown();
    await Promise.all(this.#handled);
  }

  #upgrade(request: Request): Response {
    const { socket, response } = Deno.upgradeWebSocket(request, { idleTimeout: 0 });
    this.connections++;
    this.#open.add(socket);
    const link = new FlowLink(new WebSocketFlow(socket));
    const closed = new Promise<void>((resolve) => {
      socket.addEventListener("close", () => {
        this.#open.delete(socket);
        resolve();
      });
    });
    const opened = new Promise<void>((resolve) => socket.addEventListener("open", () => resolve()));
    const handled = opened.then(() => this.#handle(link, socket)).catch(() => {}).finally(() => link.close());
    const all = Promise.all([handled, closed]).then(() => void this.#handled.delete(all));
    this.#handled.add(all);
    return response;
  }
}
