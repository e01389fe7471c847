import assert from "node:assert/strict";
import { join } from "node:path";
import { assertSame, lines, numbers, pathOf, word, written } from "../helpers/carried.ts";
import { OLD_RUNTIME } from "../helpers/goscon.ts";
import { HAS_NGINX, HAS_POSTGRES, HAS_REDIS, nginx, postgres, redis } from "../helpers/servers.ts";

const MIB = 2 ** 20;

Deno.test({
  name: "psql puts a table into PostgreSQL and reads it back over a link that is cut every second",
  ignore: !HAS_POSTGRES || OLD_RUNTIME,
  fn: async () => {
    await using server = await postgres();
    await using path = await pathOf(`unix:${server.socket}`, 4);
    const [dir, rows] = [join(server.socket, ".."), 160_000];
    // 8 MiB and a half each way, of which the way back is in another order.
    const script = `
      create temp table t (number int, word text);
      copy t from stdin;\n${lines(rows, (i) => `${i}\t${word(i)}\n`)}\\.
      copy (select * from t order by number desc) to stdout;
    `;
    const psql = (...at: string[]) =>
      written(["psql", "-X", "-q", "-v", "ON_ERROR_STOP=1", "-U", "postgres", "-h", ...at], script);
    const direct = await psql(dir);
    assert(direct.bytes > 8 * MIB);
    assertSame(path, { direct, through: await psql("127.0.0.1", "-p", path.port) });
    assert.equal(path.sessions, 1);
  },
});

Deno.test({
  name: "redis-cli sends many commands, and asks one by one, over a link that is reset every second",
  ignore: !HAS_REDIS || OLD_RUNTIME,
  fn: async () => {
    await using server = await redis();
    await using path = await pathOf(`unix:${server.socket}`, 2, "--rst");
    // A command that is lost, doubled or moved leaves another list, or another sum.
    const commands = lines(125_000, (i) => `RPUSH list ${word(i)}\r\nINCR ${i % 100}\r\n`);
    const questions = lines(500, (i) => `INCR ${i % 100}\nLINDEX list ${i * 100}\n`);
    assert(commands.length > 8 * MIB);
    const run = async (...at: string[]) => {
      const piped = await written(["redis-cli", ...at, "--pipe"], commands);
      const asked = await written(["redis-cli", ...at], questions);
      const left = await written(["redis-cli", "-s", server.socket], "LRANGE list 0 -1\nFLUSHALL\n");
      assert(left.bytes > 4 * MIB);
      return { bytes: commands.length + asked.bytes, hash: [piped, asked, left].map(({ hash }) => hash).join(" ") };
    };
    const direct = await run("-s", server.socket);
    assertSame(path, { direct, through: await run("-p", path.port) });
    assert.equal(path.sessions, 2);
  },
});

Deno.test({
  name: "curl downloads 112 MiB from nginx over a link that is cut every second",
  ignore: !HAS_NGINX || OLD_RUNTIME,
  fn: async () => {
    await using server = await nginx("large", numbers(112 * MIB));
    await using path = await pathOf(`unix:${server.socket}`, 28);
    const curl = (...args: string[]) => written(["curl", "-q", "-sS", "--fail", "--noproxy", "*", ...args]);
    const direct = await curl("--unix-socket", server.socket, "http://localhost/large");
    assert.equal(direct.bytes, 112 * MIB);
    assertSame(path, { direct, through: await curl(`http://${path.address}/large`) });
    assert.equal(path.sessions, 1);
  },
});
