import type { Connection } from "./connection.ts";
import type { FlowingOptions } from "./connection_options.ts";
import type { Version1Connection } from "./v1/connection.ts";
import { Version2Connection } from "./v2/connection.ts";
import { openByOffer } from "./v2/opening.ts";
import { canDerive } from "./v2/resume_key.ts";

/** Gives what speaks version 1: a page loads it when a server does not speak version 2. */
export type Version1 = () => typeof Version1Connection | Promise<typeof Version1Connection>;

/** As `Connection.open`. Rejects also with why `version1` does. */
export async function openConnection(options: FlowingOptions, version1: Version1): Promise<Connection> {
  const { version = "auto" } = options;
  if (version === 1 || (version === "auto" && !canDerive())) return await (await version1()).open(options);
  const opened = await openByOffer(options);
  if (opened.terms) return new Version2Connection(opened, options);
  try {
    return (await version1()).begin(opened, options);
  } catch (error) {
    opened.link.close();
    throw error;
  }
}
