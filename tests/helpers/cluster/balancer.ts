import { haproxy } from "../haproxy.ts";

/** Runs HAProxy as a balancer of TCP, which gives connections to those in turn, and to another one when one does not take it. */
export async function balancer(addresses: string[]): Promise<AsyncDisposable & { address: string }> {
  const servers = addresses.map((address, i) => `    server s${i} ${address}`).join("\n");
  return await haproxy(
    "",
    `    mode tcp
    default_backend all
backend all
    mode tcp
    balance roundrobin
    retries 3
    option redispatch 1
    timeout connect 1s
    timeout server 1h
${servers}`,
  );
}
