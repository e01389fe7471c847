/** What a browser has of these, in a page or a worker; other runtimes have none of it all. */
export interface Scope {
  navigator?: { onLine?: unknown };
  document?: Target & { visibilityState: string };
  addEventListener?: Target["addEventListener"];
  removeEventListener?: Target["removeEventListener"];
}

interface Target {
  addEventListener(kind: string, listener: () => void): void;
  removeEventListener(kind: string, listener: () => void): void;
}

/** What is to be done when the network is back or may have changed, and when a page is seen whose timers were slowed or stopped. */
export interface NetworkEvents {
  onOnline: () => void;
  onVisible: () => void;
}

/** Calls these until what it gives is called. Where there is no browser it does nothing. */
export function onNetworkBack(
  { onOnline, onVisible }: NetworkEvents,
  scope: Scope = globalThis as Scope,
): () => void {
  if (typeof scope.navigator?.onLine !== "boolean") return () => {};
  const { document } = scope;
  const onVisibility = () => {
    if (document?.visibilityState === "visible") onVisible();
  };
  scope.addEventListener?.("online", onOnline);
  document?.addEventListener("visibilitychange", onVisibility);
  return () => {
    scope.removeEventListener?.("online", onOnline);
    document?.removeEventListener("visibilitychange", onVisibility);
  };
}
