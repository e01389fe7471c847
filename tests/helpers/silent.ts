import { tcp } from "./raw_client.ts";

/** A listener at 127.0.0.2, which other systems than Linux may lack, that accepts nobody, and does not answer any more. */
export async function silentAt(port: number): Promise<AsyncDisposable> {
  const listener = Deno.listen({ hostname: "127.0.0.2", port, tcpBacklog: 1 });
  const waiting = [await tcp(`127.0.0.2:${port}`), await tcp(`127.0.0.2:${port}`)];
  return {
    [Symbol.asyncDispose]: () => {
      for (const link of [...waiting, listener]) link.close();
      return Promise.resolve();
    },
  };
}
