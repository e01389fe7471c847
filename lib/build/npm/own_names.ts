import ts from "typescript";
import { join } from "node:path";
import { ROOT } from "../compiler.ts";

/**
 * The names that a bundle gives to members of its own and that nobody else knows: they can be shortened. They are none of those that who
 * imports lib/client/`entry` may use, none of the runtime's, and none that is looked up by a text. `codes`: JavaScript of its parts.
 */
export function ownNames(codes: string[], entry: string): string[] {
  const program = ts.createProgram([pathOf(entry)], {
    lib: ["lib.esnext.d.ts", "lib.dom.d.ts", "lib.dom.iterable.d.ts"],
    types: [],
    noEmit: true,
    strict: true,
    allowImportingTsExtensions: true,
    module: ts.ModuleKind.ESNext,
    moduleResolution: ts.ModuleResolutionKind.Bundler,
  });
  const { given, texts } = namesIn(codes);
  const others = [texts, namesOfRuntime(program), publicNames(program, entry)];
  return [...given].filter((name) => !others.some((names) => names.has(name))).sort();
}

/** The names that code gives to members of classes and objects, and all of its texts. */
function namesIn(codes: string[]): { given: Set<string>; texts: Set<string> } {
  const given = new Set<string>();
  const texts = new Set<string>();
  const visit = (node: ts.Node) => {
    if (ts.isStringLiteralLike(node)) texts.add(node.text);
    const name = ts.isClassElement(node) || ts.isObjectLiteralElement(node) ? node.name : undefined;
    if (name && ts.isIdentifier(name)) given.add(name.text);
    ts.forEachChild(node, visit);
  };
  for (const code of codes) visit(ts.createSourceFile("bundle.js", code, ts.ScriptTarget.ESNext, true));
  return { given, texts };
}

function namesOfRuntime(program: ts.Program): Set<string> {
  const names = new Set<string>(["constructor"]);
  const visit = (node: ts.Node) => {
    const { name } = node as { name?: ts.Node };
    if (name && (ts.isIdentifier(name) || ts.isStringLiteral(name))) names.add(name.text);
    ts.forEachChild(node, visit);
  };
  for (const file of program.getSourceFiles()) if (program.isSourceFileDefaultLibrary(file)) visit(file);
  return names;
}

/** The members of all types that the exports of an entry mention. */
function publicNames(program: ts.Program, entry: string): Set<string> {
  const checker = program.getTypeChecker();
  const names = new Set<string>();
  const seen = new Set<ts.Type>();
  const visitSymbol = (symbol: ts.Symbol) => {
    // What is static is the bundle's.
    if (!(symbol.flags & ts.SymbolFlags.Class)) visit(checker.getTypeOfSymbol(symbol));
    visit(checker.getDeclaredTypeOfSymbol(symbol));
  };
  const visit = (type: ts.Type) => {
    if (seen.has(type)) return;
    seen.add(type);
    if (type.isUnionOrIntersection()) type.types.forEach(visit);
    [...type.aliasTypeArguments ?? [], ...checker.getTypeArguments(type as ts.TypeReference)].forEach(visit);
    for (const signature of [...type.getCallSignatures(), ...type.getConstructSignatures()]) {
      visit(signature.getReturnType());
      signature.parameters.forEach(visitSymbol);
    }
    const declarations = type.symbol?.declarations ?? [];
    if (declarations.some((node) => program.isSourceFileDefaultLibrary(node.getSourceFile()))) return;
    for (const property of type.getProperties().filter(isPublic)) {
      names.add(property.name);
      visitSymbol(property);
    }
  };
  const module = checker.getSymbolAtLocation(program.getSourceFile(pathOf(entry))!)!;
  for (const symbol of checker.getExportsOfModule(module)) {
    visitSymbol(symbol.flags & ts.SymbolFlags.Alias ? checker.getAliasedSymbol(symbol) : symbol);
  }
  return names;
}

function isPublic({ declarations = [] }: ts.Symbol): boolean {
  return !declarations.some((node) => ts.getCombinedModifierFlags(node) & ts.ModifierFlags.Private);
}

function pathOf(entry: string): string {
  return join(ROOT, "lib/client", entry);
}
