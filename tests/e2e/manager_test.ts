import assert from "node:assert/strict";
import { Goscon } from "../helpers/goscon.ts";
import { tcp } from "../helpers/raw_client.ts";

Deno.test("a manager that was out of descriptors comes back", { ignore: Deno.build.os === "windows" }, async () => {
  await using goscon = await Goscon.start(
    `listen: [{tcp: "127.0.0.1:0"}]\nmanager: 127.0.0.1:0\nhosts: [{addr: "builtin:echo"}]`,
    { descriptors: 80 },
  );
  const { url } = await goscon.event((e) => e.message === "manager");
  const silent = await Promise.all(Array.from({ length: 80 }, () => tcp(goscon.addresses[0]!)));
  await goscon.event((e) => e.message === "accept failed");
  await tcp(new URL(String(url)).host).then((link) => link.close(), () => {}); // reset, as the manager ends
  await goscon.event((e) => e.message === "manager has ended");
  for (const link of silent) link.close();
  let status = 0;
  while (status !== 200) status = await goscon.manager("GET", "/healthz").then(({ status }) => status, () => 0);
  goscon.kill("SIGTERM");
  assert.equal(await goscon.ended(), 0);
});
