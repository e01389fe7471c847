import assert from "node:assert/strict";
import { askManager } from "../../lib/admin/ask_manager.ts";

/** Has a manager at that port asked to reload. */
const ask = (port: number) =>
  askManager({ manager: { hostname: "127.0.0.1", port }, managerToken: "" }, "/reload", {
    what: "reload",
    patience: 60_000,
  });

Deno.test("a manager that is not there, or goes without an answer: why it cannot be reached is told", async () => {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { port } = listener.addr;
  const closing = listener.accept().then((connection) => connection.close());
  const what = new RegExp(`^Cannot reload: the manager at http://127\\.0\\.0\\.1:${port}/reload cannot be reached: .*`);
  await assert.rejects(ask(port), { message: new RegExp(`${what.source}connection (closed|reset)`, "i") });
  await closing;
  listener.close();
  await assert.rejects(ask(port), { message: new RegExp(`${what.source}connection refused`, "i") });
});
