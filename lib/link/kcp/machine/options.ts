export interface KcpOptions {
  /** The most bytes of a datagram, 25 to 1,500; what goes around it, as for FEC, is taken off already. */
  mtu: number;
  /** Milliseconds between two flushes while there is something to do: an ACK waits no longer. */
  interval: number;
  /** Whether what is lost is sent again after 30 ms at the least, and then after half as long again; else 100 ms, and twice as long. */
  nodelay: boolean;
  /** ACKs of later segments after which one is sent again at once; 0: none are enough. */
  resend: number;
  /** Whether less is sent when segments are lost. */
  congestion: boolean;
  /** Segments that may be in flight, 1 to 65,535. */
  sendWindow: number;
  /** Segments that are taken ahead, 1 to 65,535; a peer that was told nothing yet sends 32. */
  receiveWindow: number;
  /** The most bytes held that the peer may not have. */
  sendBytes: number;
  /** The most bytes held that were not yet received, at least 1,476: the window is no larger than what they have room for. */
  receiveBytes: number;
}
