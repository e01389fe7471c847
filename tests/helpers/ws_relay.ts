import { type Link, writeAll } from "../../lib/link/link.ts";
import { tcp } from "./raw_client.ts";
import { WsServer } from "./ws_server.ts";

/** Carries WebSocket connections to `address`, `host:port`, and back. */
export class WsRelay extends WsServer {
  constructor(address: string, respond?: (request: Request) => Response) {
    super((near) => relay(near, address), respond);
  }
}

async function relay(near: Link, address: string): Promise<void> {
  const far = await tcp(address);
  const carry = async (from: Link, to: Link) => {
    const buffer = new Uint8Array(64 * 1024);
    for (let n = await from.read(buffer); n !== null; n = await from.read(buffer)) {
      await writeAll(to, buffer.slice(0, n));
    }
    await to.closeWrite();
  };
  try {
    await Promise.all([carry(near, far), carry(far, near)]);
  } finally {
    near.close();
    far.close();
  }
}
