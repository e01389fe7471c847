import type { FlowingLink } from "../link/flow.ts";
import { FlowLink } from "../link/flow_link.ts";
import { flowOf } from "../link/pumped_flow.ts";
import type { ConnectionOptions, Dial, FlowingDial } from "./connection_options.ts";
import type { Dialling } from "./dialers.ts";

/** Dials so, and makes each link one that is a flow below. */
export function flowing({ dial, dialUrl }: Pick<ConnectionOptions, "dial" | "dialUrl">): Dialling<FlowingDial> {
  return {
    dial: flowingDial(dial),
    dialUrl: (url) => {
      const elsewhere = dialUrl?.(url);
      return elsewhere && flowingDial(elsewhere);
    },
  };
}

function flowingDial(dial: Dial): FlowingDial {
  return async (signal) => {
    const link = await dial(signal);
    return "flow" in link ? link as FlowingLink : new FlowLink(flowOf(link));
  };
}
