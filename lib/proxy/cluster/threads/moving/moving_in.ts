import { BrokenParcel, CUT, type Message, type Parcel } from "../../../../link/engine/passing/parcel.ts";
import { reasonOf } from "../../../../link/link.ts";
import type { Proxy } from "../../../proxy.ts";
import type { LaneAnswer, OnLane } from "./lane.ts";

export interface MovingInOptions {
  proxy: Pick<Proxy, "readMoved" | "moveIn">;
  /** See `OnLane`. */
  now: () => number;
  /** One is lost, and why. */
  onLost: (reason: string) => void;
}

/** Takes the sessions of a thread of another process, which come over a lane, until that is closed, and closes it too. Never rejects. */
export async function takeSessions(lane: Parcel, options: MovingInOptions): Promise<void> {
  try {
    for (;;) {
      using message = await lane.receive();
      if (!message) return;
      await takeOne(message, lane, options);
    }
  } catch (error) {
    if (!(error instanceof BrokenParcel)) options.onLost(reasonOf(error));
  } finally {
    lane.close();
  }
}

/** The other process is told first: what it has not heard of when this one is gone is untouched, and goes on there. */
async function takeOne(
  { data, descriptors, isCut }: Message,
  lane: Parcel,
  { proxy, now, onLost }: MovingInOptions,
): Promise<void> {
  const { since, session } = data as OnLane;
  const say = (answer: LaneAnswer) => lane.send({ ...answer });
  try {
    if (isCut) throw new Error(CUT);
    proxy.readMoved(session, descriptors.numbers.length);
  } catch (error) {
    return await say({ step: "refused", reason: reasonOf(error) });
  }
  await say({ step: "taken" });
  try {
    proxy.moveIn(session, descriptors.numbers);
    descriptors.take();
  } catch (error) {
    onLost(reasonOf(error));
  }
  await say({ step: "goes on", stoodStill: now() - since });
}
