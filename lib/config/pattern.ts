import { RE2JS } from "re2js";

/** The pattern asked for last, as a configuration has but one. Of each thread its own: only texts cross from one to another. */
let last: { pattern: string; compiled: RE2JS } | undefined;

/**
 * Whether some part of `text` fits a pattern, which is a regular expression of Go: as its `MatchString`. Takes a time that
 * grows with the text no faster than the text does, whatever the pattern is: a stranger may choose the text. Throws when
 * the pattern is none.
 */
export function matches(pattern: string, text: string): boolean {
  if (last?.pattern !== pattern) last = { pattern, compiled: RE2JS.compile(pattern) };
  return last.compiled.test(text);
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
