import { createSecureContext } from "node:tls";
import { carrierOf } from "../../lib/link/carrier.ts";
import { writeAll } from "../../lib/link/link.ts";
import { TcpLink } from "../../lib/link/tcp.ts";
import { TlsLink } from "../../lib/link/tls.ts";
import { readExactly, readToEnd } from "../helpers/backend.ts";
import { assertSameBytes } from "../helpers/bytes.ts";
import { Certificates } from "../helpers/certificates.ts";
import { engineOf, WORKING } from "../helpers/engine.ts";
import { HAS_OPENSSL } from "../helpers/programs.ts";
import { pattern } from "../helpers/random.ts";
import { stalled } from "../helpers/turns.ts";

for (const name of HAS_OPENSSL ? WORKING : []) {
  Deno.test(`the server's end of TLS gives a slow reader all that came before the end, then that, over ${name}`, async () => {
    using certificates = new Certificates();
    const { files, cert } = await certificates.make("one");
    const engine = engineOf(name);
    const listening = engine.listen({ hostname: "127.0.0.1", port: 0 }, { backlog: 10, isShared: false, tcp: {} });
    const context = createSecureContext({ cert, key: Deno.readTextFileSync(files.key) });
    const links: TlsLink[] = [];
    listening.accept({
      onConnection: (link) => links.push(new TlsLink(carrierOf(link, context), () => {})),
      onFailure() {},
    });
    const { port } = listening.address;
    for (const size of [1000, 10_000, 40_000]) {
      const conn = await Deno.connectTls({ hostname: "localhost", port, caCerts: [cert] });
      const far = new TcpLink(conn, { keepAlive: false });
      await writeAll(far, pattern(0, size));
      await far.closeWrite();
      const near = links.pop()!;
      for (let at = 0; at < 10; at += 5) {
        assertSameBytes(await readExactly(near, 5), pattern(at, 5));
        let turns = 0;
        await stalled(() => Math.min(turns++, 100)); // all that is to come has come
      }
      assertSameBytes(await readToEnd(near), pattern(10, size - 10));
      near.close();
      far.close();
    }
    await listening.close();
    await engine.close();
  });
}
