/** The package.json of the client. `version`: of the whole project. */
export function manifest({ version, license }: { version: string; license: string }): object {
  const entry = (name: string) => ({ types: `./types/client/${name}.d.ts`, default: `./${name}.js` });
  return {
    name: "goscon-client",
    version,
    description: "A stream of bytes over TCP, WebSocket or KCP that outlives its connections: the client of goscon",
    license,
    type: "module",
    sideEffects: false,
    // The first that fits is taken.
    exports: { ".": { browser: entry("browser"), node: entry("node"), default: entry("browser") } },
    main: "./node.js",
    browser: "./browser.js",
    types: "./types/client/node.d.ts",
    engines: { node: ">=20" },
  };
}

export const README = `# goscon-client

A duplex stream of bytes to a backend behind goscon, a proxy that speaks SCP, which outlives the connections that carry it:
when one is lost, it dials again and goes on, and not a byte is lost, doubled or moved.

\`\`\`js
import { connect } from "goscon-client";

const connection = await connect("wss://game.example/scp", { target: "game", dialect: "plain" });
connection.on("lost", ({ detail }) => console.log("lost:", detail.reason));
connection.on("resumed", ({ detail }) => console.log("resumed after", detail.gap, "ms"));
connection.on("closed", ({ detail }) => console.log("closed:", detail.reason ?? "in order"));
const writer = connection.writable.getWriter();
await writer.write(new TextEncoder().encode("hello"));
for await (const bytes of connection.readable) console.log(bytes);
\`\`\`

Browsers: \`ws://\` and \`wss://\`. Node, from version 20 on: \`tcp://host:port\`, \`tls://host:port\` and \`kcp://host:port\` as well;
before 22 it has no \`WebSocket\`, and takes one, such as that of the package \`ws\`, as the option \`WebSocket\`. No dependencies.

A page that has no bundler takes \`browser.js\`, and \`version1.js\` beside it, which is loaded when a server speaks version 1 only.

Over \`tls\` the option \`ca\` is PEM text of certificates that are trusted in addition to Node's own (before 22.15 it takes the place
of \`NODE_EXTRA_CA_CERTS\`), and \`servername\` whom the certificate must be for, in place of the host.

Over \`kcp\` the option \`fec\`, as in \`{ data: 10, parity: 3 }\`, is the server's. There nobody is told that the other end has gone:
a server of which nothing comes is asked, and another link dialled when it does not answer for \`silence\` milliseconds.

An \`AbortSignal\`, the option \`signal\`, gives the opening up, or ends the connection. Writing waits while the network does.
With a server that speaks version 2 of the protocol, closing \`writable\` ends that direction only, \`closed\` rejects with a
\`SessionEndedError\` and its \`code\` when the session was lost, and what is not read waits in memory, at most the option
\`window\`; with version 1 it waits at the proxy over TCP, but over a WebSocket in memory, however much it is.
`;
