import type { SocketFlow } from "../../../lib/link/engine/socket_flow.ts";
import { System } from "../../../lib/link/engine/system.ts";
import type { FlowingLink } from "../../../lib/link/flow.ts";
import { descriptorsOf, untilDescriptors } from "../../helpers/accepted.ts";
import { NATIVE } from "../../helpers/engine.ts";
import { Stage } from "../../helpers/engine_pair.ts";
import { ModelEnd } from "../../helpers/flow_model.ts";
import { Random } from "../../helpers/random.ts";
import { RingSpy } from "../../helpers/ring_spy.ts";
import { turn, until } from "../../helpers/turns.ts";

const [SOL_SOCKET, SO_SNDBUF] = [1, 7];
const [ROUNDS, PAIRS, STEPS] = [5, 30, 4000];

/** The two ends of a connection; of some the system takes little at a time. */
async function pair(stage: Stage, number: number, random: Random, onFault: (error: unknown) => void) {
  const ends = (await stage.pair()).map((link, i) => {
    const flow = (link as unknown as FlowingLink).flow as SocketFlow;
    if (random.next() < 0.5) {
      System.open().setOption(flow.socket!.descriptor, SOL_SOCKET, SO_SNDBUF, random.int(1, 20) * 1000);
    }
    return new ModelEnd(flow, 2 * number + i, random.fork(), onFault);
  });
  ModelEnd.join(ends[0]!, ends[1]!);
  return ends;
}

/** Many connections whose owners do whatever comes to mind, until all that they sent has come. */
async function round(stage: Stage, random: Random): Promise<void> {
  let fault: unknown;
  const throwFault = () => {
    if (fault) throw fault;
  };
  const ends: ModelEnd[] = [];
  for (let i = 0; i < PAIRS; i++) ends.push(...await pair(stage, i, random, (error) => fault ??= error));
  for (let step = 0; step < STEPS; step++) {
    ends[random.int(0, ends.length - 1)]!.step();
    if (random.next() < 0.1) await turn();
    throwFault();
  }
  for (const end of ends) end.finish();
  const left = () => ends.find(({ isOver }) => !isOver);
  await until(() => fault !== undefined || !left(), () => left()!.describe());
  for (const end of ends) end.close();
  throwFault();
}

for (const name of NATIVE) {
  Deno.test(`${name}: whatever both ends of many connections do, they are told what they should be`, async () => {
    const random = new Random();
    using spy = new RingSpy();
    try {
      const before = descriptorsOf();
      {
        // At its end it waits for what waits to be sent by those that are closed.
        await using stage = Stage.open(name);
        for (let i = 0; i < ROUNDS; i++) await round(stage, random);
      }
      await untilDescriptors(before);
      if (spy.copies !== 0) throw new Error(`${spy.copies} buffers are not given back`);
    } catch (error) {
      throw new Error(`seed ${random.seed}`, { cause: error });
    }
  });
}
