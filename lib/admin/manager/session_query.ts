import type { SessionQuery } from "../../proxy/data_plane.ts";
import { SESSION_STATES, type SessionState } from "../../proxy/session/session_record.ts";

/** Sessions in an answer, when nothing else is asked for, and at the most. */
const DEFAULT_LIMIT = 100;
const MOST_LIMIT = 10_000;

/** Which sessions are wanted, or what is wrong with that. `slots`: how many the cluster has; missing: there is none. */
export function sessionQueryOf(search: URLSearchParams, slots?: number): SessionQuery | string {
  const limit = Number(search.get("limit") ?? DEFAULT_LIMIT);
  if (!Number.isInteger(limit) || limit < 0 || limit > MOST_LIMIT) {
    return `limit: expected a whole number of 0 to ${MOST_LIMIT}`;
  }
  const state = search.get("state") ?? undefined;
  if (state !== undefined && !SESSION_STATES.some((known) => known === state)) {
    return `state: expected one of ${SESSION_STATES.join(", ")}`;
  }
  const version = search.get("version") ?? undefined;
  if (version !== undefined && version !== "1" && version !== "2") return "version: expected 1 or 2";
  const node = search.get("node") ?? undefined;
  if (node !== undefined && node !== "this" && !isSlot(node, slots)) {
    return slots === undefined
      ? "node: expected this; there is no cluster"
      : `node: expected this, or a slot of 0 to ${slots - 1}`;
  }
  return {
    limit,
    filter: search.get("filter") ?? "",
    ...(state && { state: state as SessionState }),
    ...(version && { version: version === "1" ? 1 : 2 }),
    ...(node !== undefined && { node: node === "this" ? node : Number(node) }),
  };
}

function isSlot(text: string, slots = 0): boolean {
  return /^\d{1,5}$/.test(text) && Number(text) < slots;
}
