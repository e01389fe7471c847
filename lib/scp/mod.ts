/** SCP, the Stable Connection Protocol, without input or output: bytes in, bytes or decisions out. */
export { type Code, MESSAGES, ScpError } from "./error.ts";
export {
  type Dialect,
  FLAG_FORBID_ANNOUNCE,
  type NewRequest,
  parseRequest,
  parseResumeAnswer,
  type ResumeRequest,
} from "./message.ts";
export { decodeRecord, encodeRecord, MAX_RECORD } from "./record.ts";
export { hashkey } from "./hashkey.ts";
export { hmac64, hmac64Md5 } from "./hmac64.ts";
export { Session, type SessionSnapshot } from "./session.ts";
export { accept, answerRecord, request, resumeRecord } from "./handshake.ts";
