import assert from "node:assert/strict";
import { Goscon } from "../helpers/goscon.ts";
import { HAS_SSH, Sshd } from "../helpers/sshd.ts";

const LISTEN = ["--listen", "127.0.0.1:0", "--connect"];

Deno.test({
  name: "ssh over a bridge types on through one upgrade after another",
  ignore: !HAS_SSH || Deno.build.os !== "linux" || Deno.env.get("GOSCON_IO") === "deno",
  fn: async () => {
    await using sshd = await Sshd.start();
    await using goscon = await Goscon.start(`
      listen: [{tcp: "127.0.0.1:0"}]
      manager: 127.0.0.1:0
      hosts: [{addr: "${sshd.address}"}]
    `);
    await using bridge = Goscon.spawn(["bridge", ...LISTEN, goscon.addresses[0]!, "--log-format", "json"]);
    const { address } = await bridge.event(({ message }) => message === "bridge listening");
    const [command, ...args] = [...sshd.ssh(String(address).split(":")[1]!), "127.0.0.1", "cat"];
    const ssh = new Deno.Command(command!, { args, stdin: "piped", stdout: "piped", stderr: "piped" }).spawn();
    const complaints = new Response(ssh.stderr).text();
    const typing = ssh.stdin.getWriter();
    const screen = ssh.stdout.pipeThrough(new TextDecoderStream()).getReader();
    for (let i = 0; i < 4; i++) {
      const line = `line ${i}\n`;
      await typing.write(new TextEncoder().encode(line));
      let seen = "";
      while (seen.length < line.length) seen += (await screen.read()).value;
      assert.equal(seen, line);
      if (i === 3) break;
      const { status, text } = await goscon.manager("POST", "/upgrade");
      assert.equal(status, 200, text);
      assert.equal(JSON.parse(text).sessions, 1);
    }
    await typing.close();
    assert.deepEqual([(await ssh.status).code, await complaints, (await screen.read()).done], [0, "", true]);
    assert.deepEqual(goscon.events.filter(({ message }) => /^session (lost|resumed)$/.test(message)), []);
  },
});
