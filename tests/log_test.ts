import assert from "node:assert/strict";
import { openLog } from "../lib/log.ts";

function lines(
  options: Pick<Parameters<typeof openLog>[0], "level" | "format">,
): { log: ReturnType<typeof openLog>; said: string[] } {
  const said: string[] = [];
  return { log: openLog({ ...options, write: (line) => said.push(line) }), said };
}

Deno.test("text is one line an event, with what could be misread in quotes", () => {
  const { log, said } = lines({ level: "info", format: "text" });
  log.info("session lost", {
    id: 7,
    client: "[::1]:80",
    reason: "a b",
    none: undefined,
    bad: 'x\n2026 INFO "forged"',
    empty: "",
  });
  assert.equal(said.length, 1);
  assert.match(said[0]!, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z INFO /);
  assert.equal(
    said[0]!.split(" INFO ")[1] + " INFO " + said[0]!.split(" INFO ")[2],
    'session lost id=7 client=[::1]:80 reason="a b" bad="x\\n2026 INFO \\"forged\\"" empty=""\n',
  );
});

Deno.test("what a terminal would obey is escaped, and other text is as it was said", () => {
  const { log, said } = lines({ level: "info", format: "text" });
  log.info("session ended", { reason: "tschüß\u009b31m \x1b[0m\x7f \u202egnp.exe\u2028" });
  assert.match(said[0]!, / reason="tschüß\\u009b31m \\u001b\[0m\\u007f \\u202egnp\.exe\\u2028"\n$/);
});

Deno.test("json is one object a line, with the fields beside the message", () => {
  const { log, said } = lines({ level: "info", format: "json" });
  log.warning("session lost", { id: 7, reason: 'a "b"\n' });
  assert.equal(said.length, 1);
  assert(said[0]!.endsWith("}\n") && said[0]!.indexOf("\n") === said[0]!.length - 1);
  const { message, level, id, reason } = JSON.parse(said[0]!);
  assert.deepEqual([message, level, id, reason], ["session lost", "WARN", 7, 'a "b"\n']);
});

Deno.test("events below the level are not said", () => {
  for (const [level, count] of [["debug", 4], ["info", 3], ["warning", 2], ["error", 1]] as const) {
    const { log, said } = lines({ level, format: "text" });
    for (const each of ["debug", "info", "warning", "error"] as const) log[each]("event");
    assert.equal(said.length, count, level);
  }
});
