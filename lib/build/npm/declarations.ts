import { dirname, join } from "node:path";
import ts from "typescript";
import { ROOT } from "../compiler.ts";

/** The declarations of files of lib/, and of all that these mention: texts by names, such as `client/node.d.ts`. */
export function declarationsOf(files: string[]): Map<string, string> {
  const declarations = new Map<string, string>();
  const left = [...files];
  for (let file = left.pop(); file !== undefined; file = left.pop()) {
    const name = file.replace(/\.ts$/, ".d.ts");
    if (declarations.has(name)) continue;
    const text = declarationOf(file);
    const dir = dirname(file);
    left.push(...[...text.matchAll(/from "(\.[^"]*\.ts)"/g)].map(([, path]) => join(dir, path!)));
    declarations.set(name, text.replaceAll(/(from "\.[^"]*)\.ts"/g, '$1.js"'));
  }
  return declarations;
}

function declarationOf(file: string): string {
  const { outputText, diagnostics = [] } = ts.transpileDeclaration(Deno.readTextFileSync(join(ROOT, "lib", file)), {
    fileName: file,
    reportDiagnostics: true,
    compilerOptions: { target: ts.ScriptTarget.ESNext, module: ts.ModuleKind.ESNext, stripInternal: true },
  });
  failOn(diagnostics);
  // Who has the package imports it by its name, as the examples in doc comments are to say.
  return outputText.replaceAll(/(\* import .* from )"\.\/\w+\.ts"/g, '$1"goscon-client"');
}

/** Throws when declarations are not whole, or not right, for a program that knows what a browser has and nothing else. */
export function checkDeclarations(files: string[]): void {
  const program = ts.createProgram(files, {
    lib: ["lib.esnext.d.ts", "lib.dom.d.ts"],
    types: [],
    noEmit: true,
    strict: true,
    module: ts.ModuleKind.NodeNext,
    moduleResolution: ts.ModuleResolutionKind.NodeNext,
  });
  failOn(ts.getPreEmitDiagnostics(program));
}

function failOn(diagnostics: readonly ts.Diagnostic[]): void {
  const host = {
    getCanonicalFileName: (name: string) => name,
    getCurrentDirectory: () => ROOT,
    getNewLine: () => "\n",
  };
  if (diagnostics.length > 0) throw new Error(`Cannot declare types:\n${ts.formatDiagnostics(diagnostics, host)}`);
}
