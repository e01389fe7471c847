import type { TLSSocket } from "node:tls";
import type { LinkStream } from "./link_stream.ts";

/**
 * Has TLS over a stream take more of it only when that is read which it gives: by itself it would take all that comes, however slow
 * its reader is, and whether it is paused or not. Where it may be half open it also comes to its end only when all before that is
 * read: by itself it would throw away what is not, once its own direction has ended too. To be called before anything comes that is not of
 * the handshake.
 */
export function holdBack(tls: TLSSocket, bare: LinkStream): void {
  const { _read, read, push, pause, resume } = tls;
  // More is wanted than was given since: so it is in the handshake.
  let isWanted = true;
  let isStopped = false;
  let isEndHeld = false;
  bare.isHeld = () => isStopped || !isWanted;
  tls._read = function (size) {
    // First: what waits in TLS may be given at once.
    isWanted = true;
    isStopped = false;
    _read.call(this, size);
    bare.goOn();
  };
  tls.push = function (chunk, encoding) {
    isWanted = false;
    isEndHeld = chunk === null && bare.allowHalfOpen && this.readableLength > 0;
    return !isEndHeld && push.call(this, chunk, encoding);
  };
  tls.read = function (size) {
    const chunk = read.call(this, size);
    if (isEndHeld && this.readableLength === 0) {
      isEndHeld = false;
      push.call(this, null);
    }
    return chunk;
  };
  tls.pause = function () {
    isStopped = true;
    return pause.call(this) as TLSSocket;
  };
  tls.resume = function () {
    isStopped = false;
    resume.call(this);
    bare.goOn();
    return this;
  };
}
