/** Bytes of UTF-8 that a MOVE has room for. */
const MOST_BYTES = 255;
/** What a client can come by, and how that is written. */
const FORMS = {
  "tcp:": "tcp://HOST:PORT",
  "tls:": "tls://HOST:PORT",
  "ws:": "ws://HOST/PATH",
  "wss:": "wss://HOST/PATH",
  "kcp:": "kcp://HOST:PORT",
};
/** Those that have a port of their own when none is named. */
const WEB_SCHEMES = ["ws:", "wss:"];

export type Scheme = keyof typeof FORMS;

/** Why no client that comes by one of `schemes` can be told to come to that URL; `undefined`: it can. */
export function faultOfMove(url: string, schemes = Object.keys(FORMS) as readonly Scheme[]): string | undefined {
  const bytes = new TextEncoder().encode(url).length;
  if (bytes > MOST_BYTES) return `it has ${bytes} bytes, and there is room for ${MOST_BYTES}`;
  const { protocol = "", hostname = "", port = "" } = (/^\w+:\/\/\S+$/.test(url) && URL.parse(url)) || {};
  const isWhole = hostname !== "" && (port !== "" || WEB_SCHEMES.includes(protocol));
  if (schemes.some((scheme) => scheme === protocol) && isWhole) return undefined;
  return `expected ${schemes.map((scheme) => FORMS[scheme]).join(", ")}`;
}
