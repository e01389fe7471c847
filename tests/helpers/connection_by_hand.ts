import { mock } from "node:test";
import type { ConnectionOptions, Resumption } from "../../lib/client/connection.ts";
import { ManualLink } from "./manual_link.ts";
import { record } from "./raw_client.ts";
import { turn } from "./turns.ts";
import { Connection } from "./version1_connection.ts";

export interface ByHandOptions extends Partial<ConnectionOptions> {
  /** Of the links after the first: what is waited for before each is there. */
  dialling?: () => Promise<void>;
  /** See `ManualLink`. */
  autoWrite?: boolean;
}

/** A connection of version 1, dialect plain, over links that settle nothing by themselves; timers go only when the test says so. */
export async function byHand({ dialling, autoWrite = true, ...options }: ByHandOptions = {}) {
  mock.timers.enable({ apis: ["setTimeout"] });
  const links: ManualLink[] = [];
  const dial = async () => {
    const link = new ManualLink({ autoWrite });
    if (links.push(link) > 1) await dialling?.();
    return link;
  };
  const resumed: number[] = [];
  const onResumed = ({ attempts }: Resumption) => resumed.push(attempts);
  const opening = Connection.open({ dial, dialect: "plain", random: () => 0, onResumed, ...options });
  await turn();
  if (!autoWrite) links[0]!.take();
  await turn();
  links[0]!.bring(record("7\n782riWdFIwE="));
  const connection = await opening;
  return {
    connection,
    links,
    /** The attempts that each resume took. */
    resumed,
    /** Lets so much time pass, and then all that is ready run. */
    pass: async (ms: number) => {
      mock.timers.tick(ms);
      await turn();
    },
    async [Symbol.asyncDispose]() {
      connection.close();
      for (const link of links) if (link.reading) link.bring(null);
      await turn();
      mock.timers.reset();
    },
  };
}
