import assert from "node:assert/strict";
import { type AnnounceKind, announcement } from "../../../lib/proxy/upstream/announce.ts";
import { decodeProxyHeader } from "../../../lib/proxy/front/proxy_header.ts";
import { pack, sprotoPackage } from "../../../lib/proxy/upstream/sproto.ts";
import { writeAll } from "../../../lib/link/link.ts";
import { Backend, readExactly, readToEnd } from "../../helpers/backend.ts";
import { haproxy, HAS_HAPROXY } from "../../helpers/haproxy.ts";
import { HAS_NGINX, nginxOfProxies } from "../../helpers/servers.ts";
import { TestProxy } from "../../helpers/proxy.ts";
import { RawClient, tcp } from "../../helpers/raw_client.ts";
import { pattern } from "../../helpers/random.ts";
import { toHex, vectors } from "../../helpers/vectors.ts";

const V4 = { remote: { hostname: "1.2.3.4", port: 5678 }, local: { hostname: "10.0.0.1", port: 1248 }, sessionId: 42 };
const V6 = { remote: { hostname: "2001:db8::1", port: 443 }, local: { hostname: "::1", port: 1248 }, sessionId: 42 };
const ascii = (bytes: Uint8Array) => new TextDecoder().decode(bytes);

Deno.test("sprotoPackage() is gosproto's, after its length", () => {
  for (const { type, remote_addr, local_addr, packed } of vectors.sproto) {
    const length = (packed.length / 2).toString(16).padStart(4, "0");
    assert.equal(toHex(sprotoPackage(type, remote_addr, local_addr)), length + packed);
  }
});

Deno.test("pack() leaves zeros out, and writes groups without any as they are", () => {
  const bytes = (hex: string) => hex.match(/../g)!.map((byte) => parseInt(byte, 16));
  // The examples of sproto's own documentation.
  assert.equal(toHex(pack(bytes("080000000300020019000000aa010000"))), "510803023119aa01");
  assert.equal(toHex(pack(bytes("8a".repeat(30)))), "ff03" + "8a".repeat(30) + "0000");
});

Deno.test("announcement() of none is nothing", () => {
  assert.equal(announcement("none", V4, 0).length, 0);
});

Deno.test("announcement() of a client who forbids it is by the PROXY protocol a header that tells nothing", () => {
  assert.equal(ascii(announcement("proxy_v1", undefined, 0)), "PROXY UNKNOWN\r\n");
  assert.equal(toHex(announcement("proxy_v2", undefined, 0)), "0d0a0d0a000d0a515549540a" + "20" + "00" + "0000");
  for (const kind of ["none", "sproto"] as const) assert.equal(announcement(kind, undefined, 0).length, 0);
});

Deno.test("announcement() of sproto is the package with host:port, IPv6 in brackets", () => {
  for (const [client, index] of [[V4, 0], [V6, 1]] as const) {
    assert.equal(toHex(announcement("sproto", client, 0).subarray(2)), vectors.sproto[index]!.packed);
  }
});

Deno.test("announcement() of proxy_v1 is the line of the specification", () => {
  assert.equal(ascii(announcement("proxy_v1", V4, 0)), "PROXY TCP4 1.2.3.4 10.0.0.1 5678 1248\r\n");
  assert.equal(ascii(announcement("proxy_v1", V6, 0)), "PROXY TCP6 2001:db8::1 ::1 443 1248\r\n");
});

Deno.test("announcement() by the PROXY protocol is of one family, where a proxy on the way came by the other", () => {
  const [up, down] = [{ ...V4, remote: V6.remote }, { ...V4, local: V6.local }];
  assert.equal(ascii(announcement("proxy_v1", up, 0)), "PROXY TCP6 2001:db8::1 ::ffff:10.0.0.1 443 1248\r\n");
  assert.equal(ascii(announcement("proxy_v1", down, 0)), "PROXY TCP6 ::ffff:1.2.3.4 ::1 5678 1248\r\n");
  for (const client of [up, down]) {
    const { size, client: told } = decodeProxyHeader(announcement("proxy_v2", client, 0))!;
    assert.deepEqual([size, told], [16 + 36 + 5, { remote: client.remote, local: client.local }]);
  }
});

Deno.test("announcement() of proxy_v2 is the header of the specification, with the session's id as unique id", () => {
  const start = "0d0a0d0a000d0a515549540a" + "21";
  const id = "05" + "0002" + "3432";
  assert.equal(
    toHex(announcement("proxy_v2", V4, 0)),
    start + "11" + "0011" + "01020304" + "0a000001" + "162e" + "04e0" + id,
  );
  assert.equal(
    toHex(announcement("proxy_v2", V6, 0)),
    start + "21" + "0029" + "20010db8000000000000000000000001" + "00000000000000000000000000000001" + "01bb" + "04e0" +
      id,
  );
  const whole = {
    remote: { hostname: "1:2:3:4:5:6:7:8", port: 1 },
    local: { hostname: "fe80::1.2.3.4%eth0", port: 2 },
  };
  assert.equal(
    toHex(announcement("proxy_v2", { ...whole, sessionId: 4 }, 0)).slice(32, 96),
    "00010002000300040005000600070008" + "fe800000000000000000000001020304",
  );
});

Deno.test("a backend is told first, before a byte of the stream; of a client who forbids it, nothing of it", async () => {
  await using backend = new Backend();
  for (const announce of ["sproto", "proxy_v1", "proxy_v2"] as const) {
    for (const [ignore_flag, forbidden] of [[false, false], [false, true], [true, true]] as const) {
      await using proxy = TestProxy.start({
        hosts: [{ addr: backend.address }],
        upstream_option: { announce, sproto_type: 100, ignore_flag },
        shutdown_timeout: "10ms",
      });
      using client = await RawClient.open(proxy.address, { flag: forbidden ? 1 : 0 });
      // Longer than any announcement: one that is missing is seen, and not waited for.
      const stream = pattern(0, 300);
      await client.send(stream);
      const far = await backend.accept();
      const { client: remote } = await proxy.log.nth("session new");
      const [, port] = String(remote).split(":");
      const expected = announcement(
        announce,
        forbidden && !ignore_flag ? undefined : {
          remote: { hostname: "127.0.0.1", port: Number(port) },
          local: proxy.proxy.addresses[0]!,
          sessionId: client.id,
        },
        100,
      );
      const got = await readExactly(far, expected.length + 100);
      assert.equal(toHex(got), toHex(expected) + toHex(stream.subarray(0, 100)));
    }
  }
});

Deno.test("nginx behind the proxy does not believe a client's own header", { ignore: !HAS_NGINX }, async () => {
  await using receiver = await nginxOfProxies();
  const get = new TextEncoder().encode("GET / HTTP/1.0\r\n\r\n");
  const other = { ...V4, remote: { hostname: "6.6.6.6", port: 1 } };
  for (const announce of ["proxy_v1", "proxy_v2"] as const) {
    for (const ignore_flag of [false, true]) {
      await using proxy = TestProxy.start({
        hosts: [{ addr: `unix:${receiver.socket}` }],
        upstream_option: { announce, ignore_flag },
        shutdown_timeout: "10ms",
      });
      const answerTo = async (...parts: Uint8Array[]) => {
        using client = await RawClient.open(proxy.address, { flag: 1 });
        await client.send(Uint8Array.from(parts.flatMap((part) => [...part])));
        return ascii(await client.receiveToEnd());
      };
      for (const forged of ["proxy_v1", "proxy_v2"] as const) {
        const answer = await answerTo(announcement(forged, other, 0), get);
        assert.match(answer, /400 Bad Request/);
        assert.doesNotMatch(answer, /6\.6\.6\.6/);
      }
      assert.match(await answerTo(get), ignore_flag ? /<127\.0\.0\.1>$/ : /<>$/);
    }
  }
});

/** What HAProxy takes for the client, for where it connected to, and for the unique id. */
const SAYS_CLIENT = `
    http-request return status 200 content-type text/plain lf-string "%[src]:%[src_port] %[dst]:%[dst_port] %[fc_pp_unique_id]"
`;

Deno.test("HAProxy understands both versions of the PROXY protocol", { ignore: !HAS_HAPROXY }, async () => {
  await using receiver = await haproxy("accept-proxy", SAYS_CLIENT);
  const said = async (kind: AnnounceKind, client?: typeof V4) => {
    const link = await tcp(receiver.address);
    await writeAll(link, announcement(kind, client, 0));
    await writeAll(link, new TextEncoder().encode("GET / HTTP/1.0\r\n\r\n"));
    const answer = ascii(await readToEnd(link));
    link.close();
    return answer.split("\r\n\r\n")[1];
  };
  assert.equal(await said("proxy_v1", V4), "1.2.3.4:5678 10.0.0.1:1248 ");
  assert.equal(await said("proxy_v1", V6), "2001:db8::1:443 ::1:1248 ");
  assert.equal(await said("proxy_v2", V4), "1.2.3.4:5678 10.0.0.1:1248 42");
  assert.equal(await said("proxy_v2", V6), "2001:db8::1:443 ::1:1248 42");
  // Nothing is told: it is the connection's own ends then.
  for (const kind of ["proxy_v1", "proxy_v2"] as const) {
    assert.match(await said(kind) ?? "", new RegExp(`^127\\.0\\.0\\.1:\\d+ ${receiver.address} $`));
  }
});

Deno.test("HAProxy behind the proxy knows the client and the session", { ignore: !HAS_HAPROXY }, async () => {
  await using receiver = await haproxy("accept-proxy", SAYS_CLIENT);
  await using proxy = TestProxy.start({
    hosts: [{ addr: receiver.address }],
    upstream_option: { announce: "proxy_v2" },
    shutdown_timeout: "10ms",
  });
  using client = await RawClient.open(proxy.address);
  await client.send(new TextEncoder().encode("GET / HTTP/1.0\r\n\r\n"));
  const answer = ascii(await client.receiveToEnd());
  const { client: remote } = await proxy.log.nth("session new");
  assert.equal(answer.split("\r\n\r\n")[1], `${remote} ${proxy.address} ${client.id}`);
});
