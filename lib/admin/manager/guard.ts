import { createHash, timingSafeEqual } from "node:crypto";

/** Names by which a browser on this machine reaches a loopback address. */
const LOOPBACK = /^(localhost|127\.\d+\.\d+\.\d+|\[::1\])(:\d+)?$/;

/**
 * Why a request to the manager is not answered; `undefined`: it is. It must bear the token, as `Authorization: Bearer TOKEN` or
 * as the password of HTTP's basic authentication, which browsers can ask a person for. And it must not be made by a page of
 * another site in a browser of this machine: neither openly nor under a name that the other site has given this address.
 */
export function refusalOf(headers: Headers, token: string): Response | undefined {
  const site = headers.get("sec-fetch-site");
  if (site !== null && site !== "none" && site !== "same-origin") return text(403, "a request of another site");
  if (token === "") {
    const host = headers.get("host") ?? "";
    return LOOPBACK.test(host) ? undefined : text(403, `the manager has no name ${host}; use its loopback address`);
  }
  if (isSame(credentialOf(headers), token)) return undefined;
  const challenge = { "www-authenticate": `Basic realm="goscon", charset="UTF-8"` };
  return text(401, "manager_token is wanted, as a bearer token or as the password of any user", challenge);
}

function text(status: number, message: string, headers: Record<string, string> = {}): Response {
  return new Response(`${message}\n`, { status, headers });
}

function credentialOf(headers: Headers): string {
  const [, scheme, value = ""] = /^(\S+) (.*)$/.exec(headers.get("authorization") ?? "") ?? [];
  if (scheme?.toLowerCase() === "bearer") return value;
  if (scheme?.toLowerCase() !== "basic") return "";
  try {
    const bytes = Uint8Array.from(atob(value), (c) => c.charCodeAt(0));
    return new TextDecoder().decode(bytes).replace(/^[^:]*:/, "");
  } catch {
    return "";
  }
}

/** In a time that does not tell where they differ. */
function isSame(a: string, b: string): boolean {
  const [x, y] = [a, b].map((value) => createHash("sha256").update(value).digest());
  return timingSafeEqual(x!, y!);
}
