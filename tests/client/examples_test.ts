import assert from "node:assert/strict";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { writeAll } from "../../lib/link/link.ts";
import { Backend, readExactly } from "../helpers/backend.ts";
import { TestProxy } from "../helpers/proxy.ts";

const ROOT = join(import.meta.dirname!, "..", "..");

/** The first example of a file: in a doc comment, or in Markdown. It imports from beside the file it is in. */
function exampleIn(file: string): string {
  const [, example] = /```ts\n([^]*?)```/.exec(Deno.readTextFileSync(join(ROOT, file)))!;
  return example!.replaceAll(/^ \* ?/gm, "");
}

for (
  const [file, dir] of [["lib/client/mod.ts", "lib/client"], ["README.md", "."], ["lib/docs/client.md", "."]] as const
) {
  Deno.test(`the example of ${file} runs`, async () => {
    await using backend = new Backend().serve(async (link) => {
      await writeAll(link, await readExactly(link, 5));
    });
    await using proxy = TestProxy.start({
      hosts: [{ name: "echo", addr: backend.address }],
      shutdown_timeout: "10ms",
    });
    const script = await Deno.makeTempFile({ suffix: ".ts" });
    const example = exampleIn(file).replace('from "./', `from "${pathToFileURL(join(ROOT, dir))}/`);
    assert.match(example, /"tcp:\/\/127\.0\.0\.1:1248"/);
    await Deno.writeTextFile(script, example.replace("127.0.0.1:1248", proxy.address));
    const { success, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
      args: ["run", "--quiet", "--check", "--allow-net", "--config", join(ROOT, "deno.json"), script],
    }).output();
    assert(success, new TextDecoder().decode(stderr));
    assert.match(new TextDecoder().decode(stdout), /hello|104, 101, 108, 108, 111/);
  });
}
