// What is used of the package ws, which comes without types; those that others made for it bring all of Node's with them.
import type { EventEmitter } from "node:events";
import type { IncomingMessage } from "node:http";
import type { Duplex } from "node:stream";

export class WebSocket extends EventEmitter {
  /** A client's end. */
  constructor(url: string, options?: ClientOptions);
  readonly isPaused: boolean;
  send(data: Uint8Array | string, sent?: (error?: Error) => void): void;
  ping(): void;
  pause(): void;
  resume(): void;
  close(code?: number, reason?: string): void;
  terminate(): void;
  on(event: "message", listener: (data: Uint8Array, isBinary: boolean) => void): this;
  on(event: "error", listener: (error: Error) => void): this;
  on(event: "ping" | "pong" | "close", listener: () => void): this;
  once(event: "unexpected-response", listener: (request: unknown, response: IncomingMessage) => void): this;
  once(event: "error", listener: (error: Error) => void): this;
  once(event: "open" | "ping", listener: () => void): this;
}

export interface ClientOptions {
  ca?: string;
  headers?: Record<string, string>;
  origin?: string;
  autoPong?: boolean;
  perMessageDeflate?: boolean;
}

export interface ServerOptions {
  noServer: true;
  maxPayload: number;
  maxBufferedChunks: number;
  maxFragments: number;
  clientTracking: boolean;
}

export class WebSocketServer extends EventEmitter {
  constructor(options: ServerOptions);
  handleUpgrade(request: IncomingMessage, stream: Duplex, head: Uint8Array, opened: (socket: WebSocket) => void): void;
  on(event: "wsClientError", listener: (error: Error, stream: Duplex) => void): this;
}

export function createWebSocketStream(socket: WebSocket): Duplex;
