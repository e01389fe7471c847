import { FlowLink } from "../flow_link.ts";
import type { Endpoint } from "../link.ts";
import type { MovableLink } from "./engine.ts";
import type { SocketFlow } from "./socket_flow.ts";

/** A connection over a socket of the system's. */
export class NativeLink extends FlowLink implements MovableLink {
  remote: Endpoint;
  local: Endpoint;
  declare readonly flow: SocketFlow;

  /** Owns the flow. */
  constructor(flow: SocketFlow, { remote, local }: { remote: Endpoint; local: Endpoint }) {
    super(flow);
    this.remote = remote;
    this.local = local;
  }

  get onClose(): (() => void) | undefined {
    return this.flow.onClose;
  }

  set onClose(callback: (() => void) | undefined) {
    this.flow.onClose = callback;
  }

  detach(): number | undefined {
    return this.flow.detach();
  }

  attach(fd: number): void {
    this.flow.attach(fd);
  }
}
