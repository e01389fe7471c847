let count = 0;

/** An address of this machine, another one each time, that nobody listens on, nor will: no test is given it for a listener. */
export function deadAddress(): string {
  count++;
  if (Deno.build.os === "linux") return `127.66.${count >> 8}.${count & 255}:1`;
  // Elsewhere one that was free a moment ago.
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  listener.close();
  return `127.0.0.1:${listener.addr.port}`;
}
