import { join } from "node:path";

const STUB = await Deno.readTextFile(join(import.meta.dirname!, "stub_successor.py"));

/** A program in place of goscon that takes over until that step, and then ends with a code, or by `crash` or `hang`: see there. */
export function stubUntil(step: string, then: string): string {
  return STUB.replace("@UNTIL@", step).replace("@THEN@", then);
}
