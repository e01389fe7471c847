import type { AcceptedLink, Engine } from "../../lib/link/engine/engine.ts";
import { Random } from "../helpers/random.ts";
import { CutSession, readHello } from "./cut_session.ts";

const SESSIONS = 64;

export interface CutResult {
  cuts: number;
  /** Of the streams, checked. */
  bytes: number;
}

/**
 * Cuts the links of some sessions so many times, over the sockets of an engine that it owns, and checks every byte. Rejects with the
 * first that was wrong. `onProgress` hears of every hundredth part.
 */
export async function runCuts(
  engine: Engine,
  cuts: number,
  random: Random,
  onProgress: (cuts: number) => void = () => {},
): Promise<CutResult> {
  const listening = engine.listen({ hostname: "127.0.0.1", port: 0 }, { backlog: 4096, isShared: false, tcp: {} });
  const result = { cuts: 0, bytes: 0 };
  const mayCut = () => {
    if (result.cuts === cuts) return false;
    if (++result.cuts % Math.ceil(cuts / 100) === 0) onProgress(result.cuts);
    return true;
  };
  const sessions = Array.from({ length: SESSIONS }, (_, number) =>
    new CutSession({
      number,
      engine,
      address: listening.address,
      random: random.fork(),
      mayCut,
      onBytes: (count) => result.bytes += count,
    }));
  const take = async (link: AcceptedLink) => {
    try {
      const hello = await readHello(link);
      if (hello) return sessions[hello.number]!.take(link, hello);
    } catch {
      // It broke in the middle of it.
    }
    link.close();
  };
  listening.accept({ onConnection: (link) => void take(link), onFailure: () => {} });
  try {
    await Promise.all(sessions.map((session) => session.run()));
  } finally {
    for (const session of sessions) session.close();
    await listening.close();
  }
  await engine.close();
  return result;
}
