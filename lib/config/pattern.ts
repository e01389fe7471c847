import { RE2JS } from "re2js";

/** The most patterns that are kept compiled. */
const MOST_KEPT = 256;

/** Patterns that were asked for, as a configuration has few. Of each thread its own: only texts cross from one to another. */
const compiled = new Map<string, RE2JS>();

/**
 * Whether some part of `text` fits a pattern, which is a regular expression of Go: as its `MatchString`. Takes a time that
 * grows with the text no faster than the text does, whatever the pattern is: a stranger may choose the text. Throws when
 * the pattern is none.
 */
export function matches(pattern: string, text: string): boolean {
  const kept = compiled.get(pattern);
  if (kept) return kept.test(text);
  if (compiled.size >= MOST_KEPT) compiled.clear();
  const fresh = RE2JS.compile(pattern);
  compiled.set(pattern, fresh);
  return fresh.test(text);
}

/** What is wrong with a pattern; nothing when Go would take it. */
export function faultOfPattern(pattern: string): string | undefined {
  try {
    RE2JS.compile(pattern);
    return undefined;
  } catch (error) {
    return (error as Error).message.replace(/^error parsing regexp: /, "");
  }
}
