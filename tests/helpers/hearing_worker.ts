/** A thread whose poller has something to do in each round: it counts the rounds between what its maker said and when it hears that. */
import { EpollPoller } from "../../lib/link/engine/epoll/epoll_poller.ts";
import type { Pollable, Poller } from "../../lib/link/engine/poller.ts";
import { System } from "../../lib/link/engine/system.ts";
import { RingPoller } from "../../lib/link/engine/uring/ring_poller.ts";

const maker = self as unknown as Worker;
let poller: Poller;
/** Said so many times: whoever waits for that is woken. */
let said: Int32Array;
let [rounds, asked] = [0, 0];
/** Counted since then: not always as many turns after the last word, which would hide how long one takes. */
let before: number | undefined;

const busy: Pollable = {
  onEvents() {},
  serve: () => {
    rounds++;
    poller.again(busy);
    if (before !== undefined || rounds % 37 > 0) return;
    maker.postMessage("say");
    Atomics.wait(said, 0, asked++);
    before = rounds;
  },
};

maker.onmessage = ({ data }) => {
  if (data === "word") {
    maker.postMessage(rounds - before!);
    before = undefined;
    return;
  }
  said = data.said;
  poller = data.engine === "uring" ? new RingPoller(System.open()) : new EpollPoller(System.open());
  poller.expectsMessages = true;
  // Something is watched: else it comes to its end.
  poller.add(System.open().createBell(), busy);
  poller.again(busy);
};
