import { type AckedSession, END } from "../../scp/v2/mod.ts";
import { SessionEndedError } from "../session_ended_error.ts";

/**
 * What has become of a session that the other end has ended with a code: `undefined` when it came to its end in order. A 0 is no
 * such end where that one's direction was not taken to its end before (protocol: Version 2: Ends).
 */
export function outcomeOf(
  code: number,
  detail: string,
  { isReceivedDone }: Pick<AckedSession, "isReceivedDone">,
): SessionEndedError | undefined {
  if (code !== END.done) return new SessionEndedError(code, detail);
  if (isReceivedDone) return undefined;
  return new SessionEndedError(END.protocol, "the other end says that all has ended, but not its own direction");
}
