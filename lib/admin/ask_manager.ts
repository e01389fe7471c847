import type { Config } from "../config.ts";
import { formatEndpoint, reasonOf } from "../link/link.ts";
import { reachable } from "./announce.ts";

/**
 * Posts a request to the manager of the process that runs by a configuration, and gives the answer when it is 200 or 422. `what`: that
 * cannot be done, for what is thrown, when nobody can be reached, or is not of that mind. `patience`: in milliseconds.
 */
export async function askManager(
  { manager, managerToken }: Pick<Config, "managerToken"> & { manager: NonNullable<Config["manager"]> },
  path: string,
  { what, patience }: { what: string; patience: number },
): Promise<{ ok: boolean; body: unknown }> {
  const url = `http://${formatEndpoint(reachable(manager))}${path}`;
  const headers: HeadersInit = managerToken === "" ? {} : { authorization: `Bearer ${managerToken}` };
  const signal = AbortSignal.timeout(patience);
  const response = await fetch(url, { method: "POST", headers, signal }).catch((error) => {
    throw new Error(`Cannot ${what}: the manager at ${url} cannot be reached: ${faultOf(error)}`);
  });
  const text = await response.text();
  if (response.ok || response.status === 422) return { ok: response.ok, body: JSON.parse(text) };
  throw new Error(`Cannot ${what}: the manager at ${url} answers ${response.status}: ${text.trim()}`);
}

/** Why a `fetch` has failed: what it throws says so only in its cause. */
export function faultOf(error: unknown): string {
  return reasonOf((error instanceof Error && error.cause) || error);
}
