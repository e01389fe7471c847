import { reasonOf } from "../../../link/link.ts";
import { Session } from "../../../scp/mod.ts";
import { AckedSession } from "../../../scp/v2/mod.ts";
import type { ProxySession } from "../session.ts";
import type { SessionFactory } from "../session_factory.ts";
import type { AckedProxySession } from "../v2/acked_proxy_session.ts";
import { ResumeKey } from "../v2/resume_key.ts";
import { adopted, type Adopting } from "./adopted.ts";
import type { Moved } from "./moved.ts";
import type { Arrived } from "./parting.ts";

/** What it takes to go on with sessions of another table. */
export interface Home extends Adopting {
  factory: SessionFactory;
}

/**
 * Goes on with a session that has come, and owns its descriptors, unless it throws: then nothing has changed. `admit`: counts it,
 * and gives what counts it off.
 */
export function goOnWith(
  moved: Extract<Moved, { snapshot: unknown }>,
  descriptors: readonly number[],
  { factory, ...adopting }: Home,
  admit: () => () => void,
): void {
  const { client } = moved.snapshot.record;
  // First what may throw, while nothing has changed.
  if (moved.kind === "session") {
    const { snapshot } = moved;
    const session = Session.restore(snapshot.session);
    const { cacheSize } = snapshot.session;
    const proxied = factory.make(session, client, { cacheSize, onGone: admit() });
    goOn(proxied, adopted(moved, descriptors, adopting), adopting, (arrived) => proxied.goOn(snapshot, arrived));
  } else {
    const { snapshot } = moved;
    const { key, reuseTime, pingInterval, pingTimeout } = snapshot.terms;
    const session = AckedSession.restore(snapshot.session);
    const terms = { key: new ResumeKey(key), reuseTime, liveness: { pingInterval, pingTimeout } };
    const proxied = factory.makeAcked(session, client, { ...terms, onGone: admit() });
    goOn(proxied, adopted(moved, descriptors, adopting), adopting, (arrived) => proxied.goOn(snapshot, arrived));
  }
}

/** The descriptors are those of the connections by now: when that fails the session is lost, and nothing else. */
function goOn(
  session: ProxySession | AckedProxySession,
  arrived: Arrived,
  { seams: { log } }: Adopting,
  go: (arrived: Arrived) => void,
): void {
  try {
    go(arrived);
  } catch (error) {
    const reason = `it could not go on where it moved: ${reasonOf(error)}`;
    log.error("session lost", { id: session.id, reason });
    try {
      session.abort("shutdown", reason);
    } catch {
      // It stumbles over the same.
    }
    arrived.client?.what.close();
    arrived.backend?.what.link.close();
  }
}
