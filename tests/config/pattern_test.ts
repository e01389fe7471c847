import assert from "node:assert/strict";
import fc from "fast-check";
import { faultOfPattern, matches } from "../../lib/config/pattern.ts";

Deno.test("matches() means by a pattern what Go means by it", () => {
  const cases: [pattern: string, fits: string[], fitsNot: string[]][] = [
    ["", ["", "anything"], []],
    ["b", ["b", "abc"], ["", "ac"]],
    ["(?i)^game_[0-9]$", ["game_1", "GAME_1", "Game_2"], ["game_x"]],
    ["(?i:g)ame", ["Game", "game"], ["gAME"]],
    ["^[[:alnum:]]+$", ["abc09"], ["a:b", "[", ""]],
    ["[[:^digit:]]", ["1a"], ["11"]],
    [String.raw`^game\z`, ["game"], ["game\n", "gamez"]],
    ["^game$", ["game"], ["game\n"]],
    ["(?m)^game$", ["a\ngame\nb"], ["a game"]],
    [String.raw`\Agame`, ["game_1"], ["a\ngame"]],
    ["^(?P<name>[a-z]+)_(?P<number>[0-9]+)$", ["game_17"], ["game_", "_17"]],
    ["(?s)^a.b$", ["a\nb"], ["ab"]],
    ["^a.b$", ["axb", "a😀b"], ["a\nb"]],
    [String.raw`^\Qa.b\E$`, ["a.b"], ["axb"]],
    [String.raw`^\p{Greek}+$`, ["αβγ"], ["abc"]],
    [String.raw`^\pL\x{41}$`, ["ÄA"], ["1A"]],
    [String.raw`^\w+$`, ["game_1"], ["ä"]],
    ["^a{,2}$", ["a{,2}"], ["aa"]],
  ];
  for (const [pattern, fits, fitsNot] of cases) {
    assert.equal(faultOfPattern(pattern), undefined, pattern);
    for (const text of fits) assert(matches(pattern, text), `${pattern} fits ${JSON.stringify(text)}`);
    for (const text of fitsNot) assert(!matches(pattern, text), `${pattern} does not fit ${JSON.stringify(text)}`);
  }
});

Deno.test("matches() comes to an end, whatever the pattern is", () => {
  const long = "a".repeat(60_000);
  for (const pattern of ["^([a-z]+_?)+[0-9]$", "^(a+)+$b", "(x+x+)+y", "^(a|a)*[0-9]", "(.*)(.*)(.*)(.*)[0-9]$"]) {
    for (const text of [long.slice(0, 40), long]) assert(!matches(pattern, text), pattern);
  }
  assert(matches("^([a-z]+_?)+[0-9]$", long + "_7"));
});

Deno.test("faultOfPattern() finds what is none of Go's", () => {
  const none = [
    ...["(?=a)", "(?!a)", "(?<=a)b", "(?<!a)b", "(?>a)", "(?#a)", "(?x)a", "(?P=n)"],
    ...["a**", "a++", "*a", "a{2,1}", "a{1001}", "[", "(", ")", "[b-a]", "[[:game:]]", "(?P<n>a)(?P<n>b)"],
    ...[String.raw`(a)\1`, String.raw`\Z`, String.raw`\u0041`, String.raw`\cA`, String.raw`\p{Game}`, "\\"],
  ];
  for (const pattern of none) {
    assert.match(faultOfPattern(pattern) ?? "", /^[a-z].*[^:]$/, pattern);
    assert.throws(() => matches(pattern, ""), pattern);
  }
});

Deno.test("faultOfPattern() never throws, and matches() takes whatever it finds right", () => {
  const part = fc.constantFrom(..."ab()[]{}?*+|^$.\\:<>=!PQEzdwpi-,12");
  fc.assert(fc.property(fc.array(part), fc.string(), (parts, text) => {
    const pattern = parts.join("");
    if (faultOfPattern(pattern) === undefined) matches(pattern, text);
  }));
});
