import { type Alias, isAlias, isMap, isNode, isScalar, isSeq, LineCounter, parseDocument } from "yaml";
import type { Node as YamlNode, Pair, Scalar, YAMLMap } from "yaml";

/** Where in a file a value stands: keys and indexes, from the top. */
export type Path = readonly (string | number)[];

/** Something to say of a place in a file. */
export interface Fault {
  path: Path;
  /** The offset in the text. */
  at: number;
  text: string;
}

/** `hosts[1].addr`. */
export function formatPath(path: Path): string {
  return path.map((key, i) => typeof key === "number" ? `[${key}]` : (i > 0 ? "." : "") + key).join("");
}

/** A value of a file, with aliases and merge keys resolved: one that several aliases name is the same node in each place. */
export interface Node {
  /** Its offset in the text. */
  at: number;
  /** A scalar is its text, or `null`; the keys of a map are in lower case. */
  value: string | null | readonly Node[] | ReadonlyMap<string, Entry>;
  /** An alias names it. */
  aliased: boolean;
}

/** A key of a map, where it stands, and what it is set to. */
export interface Entry {
  keyAt: number;
  node: Node;
}

/** A file of YAML: what is in it, and what is wrong with it as YAML. */
export interface Source {
  root: Node;
  faults: Fault[];
  warnings: Fault[];
  /** `LINE:COLUMN` of an offset. */
  placeOf(at: number): string;
}

/**
 * Reads what goscon's libraries, viper and yaml.v2, read: keys in any case, merge keys, and any number of aliases. What a scalar
 * means is left to who knows what is wanted there, so each is a text: as weakly typed as theirs.
 */
export function readSource(text: string): Source {
  const lines = new LineCounter();
  const document = parseDocument(text, {
    lineCounter: lines,
    prettyErrors: false,
    schema: "failsafe",
    uniqueKeys: false,
  });
  const reader = new Reader();
  const root = reader.read(document.contents);
  const [more, errors] = [document.errors.filter(isMore), document.errors.filter((error) => !isMore(error))];
  return {
    root,
    faults: [...errors.map(({ pos, message }) => ({ path: [], at: pos[0], text: message })), ...reader.faults],
    warnings: more.map(({ pos }) => ({ path: [], at: pos[0], text: "only the first document of the file is read" })),
    placeOf: (at) => {
      const { line, col } = lines.linePos(at);
      return `${line || 1}:${col || 1}`;
    },
  };
}

function isMore({ code }: { code: string }): boolean {
  return code === "MULTIPLE_DOCS";
}

const NULL = /^(?:~|null|Null|NULL|)$/;

class Reader {
  readonly faults: Fault[] = [];
  readonly #anchors = new Map<string, YamlNode>();
  /** What was read already; `undefined` while it is being read. */
  readonly #nodes = new Map<YamlNode, Node | undefined>();

  /** In the order of the file: an anchor may be set again, and an alias is for the last one before it. */
  read(node: unknown): Node {
    if (isAlias(node)) return this.#readAlias(node);
    if (!isNode(node)) return { at: 0, value: null, aliased: false };
    const known = this.#nodes.get(node);
    if (known) return known;
    this.#nodes.set(node, undefined);
    if (node.anchor) this.#anchors.set(node.anchor, node);
    const read = { at: offsetOf(node), value: this.#valueOf(node), aliased: false };
    this.#nodes.set(node, read);
    return read;
  }

  #readAlias(alias: Alias): Node {
    const target = this.#anchors.get(alias.source);
    const isOpen = target && this.#nodes.has(target) && !this.#nodes.get(target);
    if (!target || isOpen) {
      this.#fault(alias, `*${alias.source}: ${target ? "it contains itself" : "no such anchor before it"}`);
      return { at: offsetOf(alias), value: null, aliased: false };
    }
    const node = this.read(target);
    node.aliased = true;
    return node;
  }

  #valueOf(node: YamlNode): Node["value"] {
    if (isMap(node)) return this.#readMap(node);
    if (isSeq(node)) return node.items.map((item) => this.read(item));
    const { type, source = "" } = node as Scalar;
    return type === "PLAIN" && NULL.test(source) ? null : source;
  }

  /** A key of the map itself goes before a merged one, and of those the first. */
  #readMap({ items }: YAMLMap): Map<string, Entry> {
    const entries = new Map<string, Entry>();
    const merged: Entry[] = [];
    const sources: [string, Entry][] = [];
    for (const item of items) {
      const key = this.read(item.key).value;
      const entry = { keyAt: offsetOf(item.key), node: this.read(item.value) };
      if (isMerge(item)) merged.push(entry);
      else this.#addKey(entries, nameOf(typeof key === "string" ? key : item.key), entry);
    }
    for (const { keyAt, node } of merged) {
      for (const source of isList(node.value) ? node.value : [node]) {
        if (source.value instanceof Map) sources.push(...source.value);
        else {this.faults.push({
            path: ["<<"],
            at: source.at || keyAt,
            text: "expected a map, or a list of maps, to merge",
          });}
      }
    }
    for (const [name, entry] of sources) if (!entries.has(name)) entries.set(name, entry);
    return entries;
  }

  #addKey(entries: Map<string, Entry>, name: string, entry: Entry): void {
    if (entries.has(name)) {
      this.faults.push({ path: [name], at: entry.keyAt, text: "is set already: the keys of a map must be unique" });
    }
    entries.set(name, entry);
  }

  #fault(node: YamlNode, text: string): void {
    this.faults.push({ path: [], at: offsetOf(node), text });
  }
}

function isList(value: Node["value"]): value is readonly Node[] {
  return Array.isArray(value);
}

function isMerge({ key }: Pair): boolean {
  return isScalar(key) && key.type === "PLAIN" && key.source === "<<";
}

/** viper knows no case of keys. */
function nameOf(key: unknown): string {
  return String(key).toLowerCase();
}

function offsetOf(node: unknown): number {
  return isNode(node) ? node.range?.[0] ?? 0 : 0;
}

/** Whether an alias names a node, or what is in it. */
export function isReferredTo({ aliased, value }: Node): boolean {
  if (aliased || value === null || typeof value === "string") return aliased;
  const inside = isList(value) ? value : [...value.values()].map(({ node }) => node);
  return inside.some(isReferredTo);
}

/** The values of a node as plain data: maps, lists, texts and `null`. */
export function plainOf(node: Node, done: Map<Node, unknown> = new Map()): unknown {
  const { value } = node;
  if (value === null || typeof value === "string") return value;
  if (!done.has(node)) {
    done.set(
      node,
      isList(value)
        ? value.map((item) => plainOf(item, done))
        : Object.fromEntries([...value].map(([key, entry]) => [key, plainOf(entry.node, done)])),
    );
  }
  return done.get(node);
}

/** A fault at the value of `path`, or at what is next above it. */
export function faultAt(root: Node, path: Path, text: string): Fault {
  let at = root;
  for (const key of path) {
    const { value } = at;
    const next: Node | undefined = isList(value)
      ? value[Number(key)]
      : value instanceof Map
      ? value.get(key as string)?.node
      : undefined;
    if (!next) break;
    at = next;
  }
  return { path, at: at.at, text };
}
