import { build, stop } from "esbuild";
import { join } from "node:path";
import { ROOT } from "../compiler.ts";

/** What runtimes must know: the oldest Node that is still kept, and browsers of its time. */
const TARGET = "es2022";

/** One file of all that an entry of lib/client imports; modules of Node stay imports. */
export async function bundle(
  entry: string,
  { platform, minify }: { platform: "browser" | "node"; minify: boolean },
): Promise<Uint8Array<ArrayBuffer>> {
  const { outputFiles } = await build({
    entryPoints: [join(ROOT, "lib/client", entry)],
    absWorkingDir: ROOT,
    bundle: true,
    write: false,
    format: "esm",
    target: TARGET,
    platform,
    minify,
  });
  return outputFiles[0]!.contents as Uint8Array<ArrayBuffer>;
}

/** Ends the bundler's process. */
export async function endBundler(): Promise<void> {
  await stop();
}

/** How many bytes a server sends of them. */
export async function gzippedSize(bytes: Uint8Array<ArrayBuffer>): Promise<number> {
  const stream = new Blob([bytes]).stream().pipeThrough(new CompressionStream("gzip"));
  return (await new Response(stream).bytes()).length;
}
