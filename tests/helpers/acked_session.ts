import { AckedSession, type AckedSessionOptions } from "../../lib/scp/v2/mod.ts";

/** One end of a new session of version 2 over its first link: plain, and of 64 KiB each, unless told otherwise. */
export function openAcked(options: Partial<AckedSessionOptions> = {}): AckedSession {
  const sizes = { cacheSize: 65536, window: 65536, peerWindow: 65536 };
  const session = new AckedSession({ id: 7, secret: 1n, dialect: "plain", ...sizes, ...options });
  session.attach(0, new Uint8Array(0));
  return session;
}
