import { goneProofText } from "../../../scp/v2/mod.ts";
import { Broken } from "../probe.ts";
import { type Peer, proofIn } from "./peer.ts";

/** Expects that a resume is told, by an authentic answer, that the session has ended, with that code. */
export async function expectGone(peer: Peer, end: number): Promise<void> {
  const { answer } = await peer.probe.ask(peer.request());
  const { value, mac } = proofIn(answer, 410);
  if (!peer.key.verifies(goneProofText(peer.index, value), mac)) throw new Broken("the HMAC of the 410 is wrong");
  const [first, second] = answer.split("\n");
  const expected = peer.probe.dialect === "plain" ? "410 Gone" : "410";
  if (first !== "0" || second !== expected) {
    throw new Broken(`the answer begins with ${first}, ${second}, where 0, ${expected} was expected`);
  }
  if (value !== end) throw new Broken(`the END of the 410 is ${value}, where ${end} was expected`);
}
