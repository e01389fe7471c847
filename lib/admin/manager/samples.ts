type Labels = Record<string, string>;
/** A value of a metric. */
export type Sample = { value: number; labels: Labels; metricName?: string };
export type Type = "counter" | "gauge" | "histogram" | "summary" | "untyped";

/** Adds a metric. */
export type Add = (name: string, type: Type, help: string, values: Sample[]) => void;

export const one = (value: number): Sample[] => [{ value, labels: {} }];

/** A sample for each key. */
export function byLabel(label: string, values: Readonly<Partial<Record<string, number>>>): Sample[] {
  return Object.entries(values).map(([key, value = 0]) => ({ value, labels: { [label]: key } }));
}
