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

/**
 * Calls `retry` whenever the network is back, or a page is looked at again, whose timers were slowed or stopped meanwhile.
 * Gives what ends that. Where there is no browser it does nothing.
 */
export function onNetworkBack(retry: () => void, scope: Scope = globalThis as Scope): () => void {
  if (typeof scope.navigator?.onLine !== "boolean") return () => {};
  const { document } = scope;
  const onVisibility = () => {
    if (document?.visibilityState === "visible") retry();
  };
  scope.addEventListener?.("online", retry);
  document?.addEventListener("visibilitychange", onVisibility);
  return () => {
    scope.removeEventListener?.("online", retry);
    document?.removeEventListener("visibilitychange", onVisibility);
  };
}
