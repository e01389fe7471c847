import { BlockList, isIP } from "node:net";

/** A list of IP addresses and networks in CIDR form. */
export class Networks {
  readonly #list = new BlockList();
  readonly size: number;

  /** `cidrs`: valid ones, as the configuration has checked. */
  constructor(cidrs: readonly string[]) {
    this.size = cidrs.length;
    for (const cidr of cidrs) {
      const [address, bits] = cidr.split("/");
      const v4 = isIP(address!) === 4;
      this.#list.addSubnet(address!, Number(bits ?? (v4 ? 32 : 128)), v4 ? "ipv4" : "ipv6");
    }
  }

  /** Whether an IP address is one of them. */
  has(address: string): boolean {
    return this.size > 0 && this.#list.check(address.replace(/%.*$/, ""), address.includes(":") ? "ipv6" : "ipv4");
  }
}
