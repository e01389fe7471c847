/** What is no amount, but says what the amounts are of. */
const KEPT = new Set(["bounds"]);

/** Adds two plain values of the same shape up, number by number; what only one of them has counts. Of what is no number, the first's. */
export function addUp<T>(a: T, b: T): T {
  if (typeof a === "number") return a + (b as number) as T;
  if (typeof a !== "object" || a === null) return a;
  if (Array.isArray(a)) return a.map((value, i) => addUp(value, (b as unknown[])[i])) as T;
  const [x, y] = [a, b] as Record<string, unknown>[];
  const keys = new Set([...Object.keys(x!), ...Object.keys(y!)]);
  const sum = (key: string) => key in x! && key in y! && !KEPT.has(key) ? addUp(x![key], y![key]) : x![key] ?? y![key];
  return Object.fromEntries([...keys].map((key) => [key, sum(key)])) as T;
}
