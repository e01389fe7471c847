import type { Config } from "../config.ts";
import type { Dialect } from "../scp/mod.ts";

/** A URL by which clients reach a listener, and what that speaks: they may be told to move there. */
export interface Public {
  url: string;
  dialect: Dialect;
}

/** Those of a configuration. */
export function publicsOf({ listen }: Config): Public[] {
  return listen.flatMap(({ public: url, dialect }) => url === undefined ? [] : [{ url, dialect }]);
}
