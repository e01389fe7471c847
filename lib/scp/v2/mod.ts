/** Version 2 of SCP, without input or output: what its sessions are, its frames, and what its handshake has more. */
export { END, meaningOf } from "./end.ts";
export { FrameError } from "./frame.ts";
export {
  acceptOffer,
  type AcceptOfferOptions,
  goneContent,
  type Offered,
  type OfferOptions,
  requestWithOffer,
  resumeContent,
  resumedContent,
} from "./handshake.ts";
export { type Duty, Liveness, type LivenessOptions, type LivenessSnapshot } from "./liveness.ts";
export {
  FLAG_VERSION_2,
  formatOffer,
  formatProof,
  formatTerms,
  hasProof,
  LARGEST_WINDOW,
  LEAST_WINDOW,
  type Offer,
  parseAnswerProof,
  parseOffer,
  parseResumeProof,
  parseTerms,
  type Proof,
  type Terms,
} from "./message.ts";
export { goneProofText, KEY_INFO, resumedProofText, resumeProofText, saltInput } from "./proof.ts";
export type { Consumer } from "./incoming.ts";
export { AckedSession, type AckedSessionOptions, type AckedSessionSnapshot } from "./session.ts";
