import assert from "node:assert/strict";
import { dirname, join, relative } from "node:path";

const LIB = join(import.meta.dirname!, "..", "lib");

/** From left to right: nothing imports from its right. */
const LAYERS = [
  "random",
  "within",
  "semaphore",
  "ip",
  "scp",
  "log",
  "sparingly",
  "config",
  "link",
  "client",
  "proxy",
  "tools",
  "admin",
];
/** The same in lib/proxy: what all of it needs, its rooms, what they make together, and what makes several of that. */
const PROXY = [
  ...["stats", "tcp_options", "shared_state", "host_slots", "owner", "seams", "upstream", "session", "front"],
  ...["cluster_info", "publics", "data_plane", "system_seams", "proxy", "cluster"],
];
const SCP = [
  ...[
    "error",
    "base64",
    "dh64",
    "hmac64",
    "hashkey",
    "rc4",
    "resend_cache",
    "record",
    "message",
    "session",
    "handshake",
    "mod",
  ],
  ...["end", "ring", "frame", "liveness", "proof", "message", "incoming", "outgoing", "session", "handshake", "mod"]
    .map((name) => `v2/${name}`),
];

/** What is not given as a value. */
const OF_THE_WORLD = /\bDeno\.|setTimeout|Date\.now|performance\.|Math\.random|crypto\.|console\.|\basync\b|\bawait\b/;

function* sources(dir: string): Generator<string> {
  for (const { name, isDirectory } of Deno.readDirSync(dir)) {
    if (isDirectory) yield* sources(join(dir, name));
    else if (name.endsWith(".ts")) yield join(dir, name);
  }
}

/** The files of lib that a file imports. */
function importsOf(file: string): string[] {
  const text = Deno.readTextFileSync(file);
  return [...text.matchAll(/(?:from|import)\s*\(?\s*"(\.{1,2}\/[^"]+\.ts)"/g)].map(([, path]) =>
    join(dirname(file), path!)
  );
}

const layerOf = (file: string): string => relative(LIB, file).split("/")[0]!.replace(/\.ts$/, "");

Deno.test("no module of lib/ imports from a layer to its right", () => {
  for (const file of sources(LIB)) {
    const layer = layerOf(file);
    if (layer === "build") continue;
    assert(LAYERS.includes(layer), `${file} is in no layer`);
    for (const imported of importsOf(file)) {
      assert(LAYERS.indexOf(layerOf(imported)) <= LAYERS.indexOf(layer), `${file} imports ${imported}`);
    }
  }
});

Deno.test("no module of lib/proxy imports from a room to its right", () => {
  const proxy = join(LIB, "proxy");
  const roomOf = (file: string) => PROXY.indexOf(relative(proxy, file).split("/")[0]!.replace(/\.ts$/, ""));
  for (const file of sources(proxy)) {
    assert(roomOf(file) >= 0, `${file} has no place`);
    for (const imported of importsOf(file).filter((path) => path.startsWith(proxy + "/"))) {
      assert(roomOf(imported) <= roomOf(file), `${file} imports ${imported}`);
    }
  }
});

Deno.test("inside lib/scp modules import to their left, and know nothing of the world", () => {
  for (const file of sources(join(LIB, "scp"))) {
    const place = (path: string) => SCP.indexOf(relative(join(LIB, "scp"), path).replace(/\.ts$/, ""));
    assert(place(file) >= 0, `${file} has no place`);
    for (const imported of importsOf(file)) {
      assert(place(imported) >= 0 && place(imported) < place(file), `${file} imports ${imported}`);
    }
    const text = Deno.readTextFileSync(file);
    assert.doesNotMatch(text, OF_THE_WORLD, file);
    assert.doesNotMatch(text, /from "(?!\.{1,2}\/)/, `${file} imports a package`);
  }
});

/** A file of lib and all that it imports, those imports as well that hold types only. */
function graphOf(file: string, found = new Set<string>()): Set<string> {
  if (found.has(file)) return found;
  found.add(file);
  for (const imported of importsOf(file)) graphOf(imported, found);
  return found;
}

Deno.test("KCP's machine knows nothing of the world: datagrams and the time are given to it", () => {
  const files = graphOf(join(LIB, "link", "kcp", "machine", "kcp.ts"));
  assert(files.has(join(LIB, "link", "kcp", "machine", "sender.ts")), "the graph is not whole");
  for (const file of files) assert.doesNotMatch(Deno.readTextFileSync(file), OF_THE_WORLD, file);
});

Deno.test("the client for browsers knows no runtime and no package, that for Node nothing of Deno, nor what Node 20 lacks", () => {
  for (
    const [entry, packages] of [["browser", /^$/], [
      "node",
      /^node:(dgram|dns\/promises|net|stream|timers|tls)$/,
    ]] as const
  ) {
    const files = graphOf(join(LIB, "client", `${entry}.ts`));
    assert(files.has(join(LIB, "scp", "session.ts")), "the graph is not whole");
    for (const file of files) {
      const text = Deno.readTextFileSync(file);
      assert.doesNotMatch(text, /\bDeno\.[a-z]|\bwithResolvers\b|\bfromAsync\b/, `${entry}: ${file}`);
      for (const [, name] of text.matchAll(/^(?:.* from|import) "([^".][^"]*)";$/gm)) {
        assert.match(name!, packages, `${entry}: ${file} imports ${name}`);
      }
    }
  }
});
