import { type Flaky, type FlakyOptions, startFlaky } from "../../lib/tools/flaky/flaky.ts";
import { parseAddress } from "../../lib/config.ts";
import type { SocketAddress } from "../../lib/link/dial.ts";

/** An address that a test has as `host:port`. */
export const place = (address: string) => parseAddress(address) as SocketAddress;

/** A relay on a random port to that address. */
export function flakyTo(
  address: string,
  options: Omit<FlakyOptions, "listen" | "connect"> = {},
): Flaky & AsyncDisposable {
  const flaky = startFlaky({ ...options, listen: place("127.0.0.1:0"), connect: place(address) });
  return { ...flaky, [Symbol.asyncDispose]: flaky.stop };
}
