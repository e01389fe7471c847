import type { Fields } from "./log.ts";

/** Passes to `tell` what happens, but one in `interval` milliseconds at the most: the next tells how many `others` there were. */
export function sparingly(
  interval: number,
  tell: (fields: Fields) => void,
  now: () => number = () => performance.now(),
): (fields: Fields) => void {
  let next = -Infinity;
  let others = 0;
  return (fields) => {
    if (now() < next) {
      others++;
      return;
    }
    tell({ ...fields, ...(others > 0 && { others }) });
    next = now() + interval;
    others = 0;
  };
}
