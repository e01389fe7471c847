import { unmapped } from "../../../ip.ts";
import type { Endpoint } from "../../link.ts";
import type { DatagramPeer } from "./datagrams.ts";

/** Who is at an address, of a socket of `node:dgram`. */
export class NodePeer implements DatagramPeer {
  readonly address: string;
  readonly port: number;
  readonly local: Endpoint;

  constructor(address: string, port: number, local: Endpoint) {
    this.address = address;
    this.port = port;
    this.local = local;
  }

  get key(): string {
    return `${this.address} ${this.port}`;
  }

  get remote(): Endpoint {
    return { hostname: unmapped(this.address), port: this.port };
  }
}

/** An IP address without its scope. */
export function oneSpelling(ip: string): string {
  const [address] = ip.split("%") as [string];
  return address.includes(":") ? unmapped(new URL(`http://[${address}]`).hostname.slice(1, -1)) : address;
}
