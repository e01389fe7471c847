import { reasonOf } from "./link.ts";

/** What a client of TLS trusts, and whom it expects. */
export interface TlsOptions {
  /**
   * PEM text of certificates that are trusted in addition to those of the runtime: of authorities, or the server's own when that
   * is signed by itself.
   */
  ca?: string | undefined;
  /** The name, or IP address, that the certificate must be for; a name is told to the server too (SNI). Default: the host. */
  servername?: string | undefined;
}

/** How Deno, then Node, says that nobody trusted has signed a certificate; and that it is for others. */
const UNTRUSTED = /UnknownIssuer|CaUsedAsEndEntity|self-signed|unable to (?:get|verify)/;
const OTHER_NAME = /not valid for name|does not match certificate's altnames/;

/** Throws when `ca` has no certificate: a runtime may take anything, and trust nothing more. */
export function checkCa({ ca }: TlsOptions): void {
  if (ca === undefined || ca.includes("-----BEGIN CERTIFICATE-----")) return;
  throw new Error("Cannot trust what ca has: it is no certificate in PEM");
}

/** Why a handshake of TLS with `name` failed, in one sentence that is the same in each runtime but for what is in parentheses. */
export function tlsFailure(error: unknown, name: string): Error {
  const reason = reasonOf(error).trim();
  const what = UNTRUSTED.test(reason)
    ? "its certificate is not trusted"
    : OTHER_NAME.test(reason)
    ? `its certificate is not for ${name}`
    : "TLS failed";
  return new Error(`${what} (${reason})`, { cause: error });
}
