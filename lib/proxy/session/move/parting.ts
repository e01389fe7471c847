import type { Flow, LetGo, MovableFlow, Remains } from "../../../link/flow.ts";
import type { Endpoint, Link } from "../../../link/link.ts";
import type { Backend } from "../../upstream/upstream.ts";

/** A session that goes on elsewhere: all that it is, and the connections that it has let go of, which are the caller's. */
export interface Parting<Snapshot> {
  snapshot: Snapshot;
  /** Missing: the client is away. */
  client: LetGo<MovableFlow> | undefined;
  /** Missing: it has none yet, or not any more. */
  backend: MovableFlow | undefined;
  /** The client's connection, where that cannot go along: to be closed when its session has gone over, so that the client comes there. */
  left: Flow | undefined;
}

/** A connection that has come along. */
export interface Brought<T> {
  what: T;
  remains: Remains;
}

/** The connections over which a session goes on; missing: there was none, or it could not come along. */
export interface Arrived {
  client: Brought<Link> | undefined;
  backend: Brought<Backend> | undefined;
}

/** What a session dials, as plain data. */
export interface Wanted {
  target: string;
  flag: number;
  /** The client, and where it connected to. */
  remote: Endpoint;
  local: Endpoint;
}

/** What a session is told of a backend whose connection could not be taken when it moved. */
export const BACKEND_NOT_ALONG = "upstream failed: its connection could not be taken when its session moved";

/** Why a client lost its connection whose session has moved. */
export const NOT_ALONG = "its session goes on elsewhere, where its connection cannot go";
