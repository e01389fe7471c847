import { type EngineName, ENGINES } from "../../lib/config/engines.ts";
import { engineOf } from "../helpers/engine.ts";
import { ownDescriptors } from "../helpers/own_descriptors.ts";
import { Random } from "../helpers/random.ts";
import { runCuts } from "./cut_run.ts";

const USAGE =
  `Cuts the links of sessions, half of them of version 2 of the protocol, over the C library's sockets (Linux), and checks
every byte.

Usage:
  deno task cuts [cuts] [engine]      default: 1,000,000, and the engine that works best here

GOSCON_SEED tries the chance of a run again. Exit codes: 0; 1 when a byte or a descriptor was lost; 2 for bad usage.
`;

if (import.meta.main) {
  const cuts = Number(Deno.args[0] ?? 1_000_000);
  const engine = ENGINES.find((name) => name === (Deno.args[1] ?? "auto"));
  if (Deno.args.length > 2 || !engine || !Number.isInteger(cuts) || cuts < 1) {
    console.error(USAGE);
    Deno.exit(2);
  }
  Deno.exit(await run(engine, cuts, new Random()));
}

/** The exit code. */
async function run(name: EngineName, cuts: number, random: Random): Promise<number> {
  const first = engineOf(name);
  console.log(`${first.name}, ${cuts} cuts, seed ${random.seed}`);
  await runCuts(first, 1, random.fork()); // whatever is opened once is open now
  const before = ownDescriptors().size;
  const started = performance.now();
  const seconds = () => ((performance.now() - started) / 1000).toFixed(1);
  try {
    const { bytes } = await runCuts(
      engineOf(name),
      cuts,
      random,
      (done) => console.log(`${seconds()} s: ${done} cuts`),
    );
    const after = ownDescriptors().size;
    console.log(
      `${cuts} cuts in ${seconds()} s, ${bytes} bytes checked, ${before} descriptors before and ${after} after`,
    );
    console.log(after === before ? "PASSED" : "FAILED: descriptors were lost");
    return after === before ? 0 : 1;
  } catch (error) {
    console.error(`FAILED with seed ${random.seed}:`, error);
    return 1;
  }
}
