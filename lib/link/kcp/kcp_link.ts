import { FlowLink } from "../flow_link.ts";
import { type ClientLink, type Endpoint, writeAll } from "../link.ts";
import type { KcpFlow } from "./kcp_flow.ts";

/** A conversation that a client began. Anybody may have written its address, until it is proven. */
export class KcpLink extends FlowLink implements ClientLink {
  remote: Endpoint;
  local: Endpoint;
  readonly #flow: KcpFlow;

  /** Owns the flow. */
  constructor(flow: KcpFlow, { remote, local }: { remote: Endpoint; local: Endpoint }) {
    super(flow);
    this.#flow = flow;
    this.remote = remote;
    this.local = local;
  }

  get carriedBy(): KcpFlow {
    return this.#flow;
  }

  get isProven(): boolean {
    return this.#flow.isProven;
  }

  /** See `ClientLink`: who acknowledges the answer has it. */
  async prove(answer: Uint8Array<ArrayBuffer>): Promise<void> {
    await Promise.all([this.proven(), writeAll(this, answer)]);
  }

  /** See `ClientLink`. */
  proven(): Promise<void> {
    return new Promise((resolve, reject) => this.#flow.onProof = (error) => error ? reject(error) : resolve());
  }
}
