import assert from "node:assert/strict";
import { once } from "node:events";
import { connect } from "node:net";
import { type ClientLink, formatEndpoint } from "../../../lib/link/link.ts";
import { Listener, reservePort } from "../../../lib/proxy/front/listener.ts";
import { Stats } from "../../../lib/proxy/stats.ts";
import { testEngine } from "../../helpers/engine.ts";
import { TestLog } from "../../helpers/proxy.ts";
import { tcp } from "../../helpers/raw_client.ts";

const AT = { hostname: "127.0.0.1", port: 0 };

Deno.test("clients that are reset before they are accepted do not hold up those behind them", async () => {
  const log = new TestLog();
  const stats = new Stats();
  const engine = testEngine();
  const accepted = Promise.withResolvers<ClientLink>();
  const listen = { ...AT, dialect: "goscon" as const, acceptProxy: false, trusted: [] };
  const listener = new Listener(listen, reservePort(AT), {
    onConnection: (link) => link.remote.port === last?.local.port ? accepted.resolve(link) : link.close(),
    engine,
    backlog: 100,
    tcp: {},
    log,
    stats,
  });
  for (let i = 0; i < 50; i++) {
    const socket = connect(listener.address.port, AT.hostname);
    await once(socket, "connect");
    socket.resetAndDestroy();
    await once(socket, "close");
  }
  const last = await tcp(formatEndpoint(listener.address));
  listener.accept();
  (await accepted.promise).close();
  last.close();
  assert.deepEqual(log.of("accept failed"), []);
  assert.equal(stats.acceptFails, 0);
  await listener.close();
  await engine.close();
});
