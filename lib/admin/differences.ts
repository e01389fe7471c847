/** Where two plain values differ, key by key: `path: before -> after`. */
export function differences(before: unknown, after: unknown, path = ""): string[] {
  if (isTree(before) && isTree(after)) {
    const keys = [...new Set([...Object.keys(before), ...Object.keys(after)])];
    const under = (key: string) => Array.isArray(after) ? `${path}[${key}]` : path ? `${path}.${key}` : key;
    return keys.flatMap((key) => differences(before[key], after[key], under(key)));
  }
  const [was, is] = [before, after].map((value) => JSON.stringify(value) ?? "nothing");
  return was === is ? [] : [`${path}: ${was} -> ${is}`];
}

function isTree(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null;
}
