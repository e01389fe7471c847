import type { Run } from "./run.ts";
import { MORE_DESCRIPTORS, type Usages } from "./stages.ts";
import { formatUsage, mib } from "./usage.ts";

/** Memory at the end may be so many times that after warm-up, and so many bytes. */
const MORE_MEMORY = { times: 1.25, bytes: 20 * 2 ** 20 };

/** Prints what a run came to. Gives whether that is good. */
export function judge({ backend, proxy, tally, failures, options }: Run, usages: Usages): boolean {
  const { down, opened, transports, orderly, deleted, resumes, moved, reloads, adminCalls, faults } = tally;
  const { upgrades, standStill: { p50, p99, longest } } = tally;
  const kinds = Object.entries(faults).map(([kind, count]) => `${kind} ${count}`);
  console.log(`seed:        ${options.seed}`);
  console.log(`checked:     ${mib(backend.checked)} up, ${mib(down)} down`);
  console.log(
    `sessions:    ${opened[1]} begun of version 1, ${
      opened[2]
    } of 2, ${orderly} of these ended in order; ${deleted} deleted`,
  );
  console.log(`came by:     ${Object.entries(transports).map(([name, count]) => `${name} ${count}`).join(", ")}`);
  console.log(`faults:      ${kinds.join(", ")}`);
  console.log(`resumes:     ${resumes[1]} of version 1, ${resumes[2]} of version 2`);
  console.log(
    `operation:   ${reloads} reloads, ${moved} moves, ${adminCalls} admin calls, ${proxy.lines} lines of log`,
  );
  console.log(
    `upgrades:    ${upgrades}, in which sessions stood still for ${p50} ms (p50), ${p99} ms (p99), ${longest} ms (longest), at the most`,
  );
  console.log(`proxy idle:  ${formatUsage(usages.idle)}`);
  if (usages.warm) console.log(`      warm:  ${formatUsage(usages.warm)}`);
  if (usages.full) console.log(`      full:  ${formatUsage(usages.full)}`);
  if (usages.closed) console.log(`    closed:  ${formatUsage(usages.closed)}`);
  const reason = failures.reason ?? growth(usages);
  console.log(reason === undefined ? "verdict: OK" : `verdict: FAILED: ${reason}`);
  return reason === undefined;
}

/** What the proxy has more of than it should; `undefined`: nothing. */
function growth({ idle, warm, full, closed }: Usages): string | undefined {
  if (!warm || !full || !closed) return "the run was not finished";
  const most = MORE_MEMORY.times * warm.memory + MORE_MEMORY.bytes;
  if (full.memory > most) return `memory went from ${mib(warm.memory)} to ${mib(full.memory)}`;
  if (idle.descriptors === undefined || closed.descriptors === undefined) return undefined;
  if (closed.descriptors <= idle.descriptors + MORE_DESCRIPTORS) return undefined;
  return `descriptors were ${idle.descriptors}, and are ${closed.descriptors} now that there are no sessions`;
}
