import type { ConnectionOptions } from "../../lib/client/connection.ts";
import { flowing } from "../../lib/client/flowing.ts";
import { Version1Connection } from "../../lib/client/v1/connection.ts";

/** As `Connection`, for what only connections of version 1 have. */
export const Connection = {
  open: (options: ConnectionOptions): Promise<Version1Connection> =>
    Version1Connection.open({ ...options, ...flowing(options) }),
};
