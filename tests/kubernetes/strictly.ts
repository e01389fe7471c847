/** An object of Kubernetes, with the published schema of its kind. */
export interface Model {
  /** Throws when the object is not as the schema says. It reads every key that the schema knows, and no other. */
  validate(): void;
}

/** What the schema finds wrong with an object, or else every key that it does not know, as in `/spec/replicsa`. */
export function faultsOf(model: Model): string[] {
  const unread = new Set<string>();
  try {
    watched(model, "", unread).validate();
  } catch (error) {
    return [(error as Error).message];
  }
  return [...unread];
}

/** The same object; `unread` gets the path of each of its keys, and of those of what was read of it, until that key is read. */
function watched<T extends object>(value: T, path: string, unread: Set<string>): T {
  for (const key of Object.keys(value)) unread.add(`${path}/${key}`);
  const seen = new Map<string, object>();
  return new Proxy(value, {
    get(target, key) {
      const found = Reflect.get(target, key);
      if (typeof key === "symbol" || !Object.hasOwn(target, key)) return found;
      const at = `${path}/${key}`;
      unread.delete(at);
      if (typeof found !== "object" || found === null) return found;
      if (!seen.has(key)) seen.set(key, watched(found, at, unread));
      return seen.get(key);
    },
  });
}
