import ts from "typescript";

/** Methods that runtimes call by themselves. */
const CALLED = new Set(["constructor", "then", "toString", "valueOf", "toJSON", "handleEvent"]);

type Member = ts.MethodDeclaration | ts.AccessorDeclaration;

/**
 * JavaScript of some modules, which nothing else imports but by the first, without the methods and accessors of its classes that nothing names which can run: what only others use of
 * them, as the proxy. A bundler keeps these, as they may be looked up by a name that is computed; here nobody does. Those of the classes
 * that the first exports stay.
 */
export function withoutUnusedMembers(codes: string[]): string[] {
  const files = codes.map((code, i) => ts.createSourceFile(`${i}.js`, code, ts.ScriptTarget.ESNext, true));
  const exported = exportedNames(files[0]!);
  const named = new Set<string>();
  const unused = new Set<Member>();
  const visit = (node: ts.Node) => {
    if (isDroppable(node, exported)) return void unused.add(node);
    const name = nameIn(node);
    if (name !== undefined) named.add(name);
    ts.forEachChild(node, visit);
  };
  files.forEach(visit);
  // What runs by one that is named may name another.
  for (let left = -1; left !== unused.size;) {
    left = unused.size;
    for (const member of unused) {
      if (named.has(keyOf(member.name)) && unused.delete(member)) ts.forEachChild(member, visit);
    }
  }
  return files.map((file) => without(file.text, [...unused].filter((member) => member.getSourceFile() === file)));
}

function exportedNames(file: ts.SourceFile): Set<string> {
  const names = new Set<string>();
  for (const statement of file.statements) {
    if (!ts.isExportDeclaration(statement) || !statement.exportClause) continue;
    if (!ts.isNamedExports(statement.exportClause)) continue;
    for (const { name, propertyName } of statement.exportClause.elements) names.add((propertyName ?? name).text);
  }
  return names;
}

function isDroppable(node: ts.Node, exported: Set<string>): node is Member {
  if (!ts.isMethodDeclaration(node) && !ts.isAccessor(node)) return false;
  if (!ts.isClassLike(node.parent) || ts.isComputedPropertyName(node.name)) return false;
  return !CALLED.has(node.name.getText()) && !exported.has(nameOfClass(node.parent));
}

/** `class A`, or `var A = class …`. */
function nameOfClass({ parent, name }: ts.ClassLikeDeclaration): string {
  return ts.isVariableDeclaration(parent) ? parent.name.getText() : name?.text ?? "";
}

/** The name by which a node may look a member up. */
function nameIn(node: ts.Node): string | undefined {
  if (ts.isStringLiteralLike(node)) return node.text;
  if (!ts.isIdentifier(node) && !ts.isPrivateIdentifier(node)) return undefined;
  const { parent } = node;
  const isOwnName = (ts.isMethodDeclaration(parent) || ts.isAccessor(parent)) && parent.name === node;
  const isVariable = ts.isIdentifier(node) && !ts.isPropertyAccessExpression(parent) && !ts.isBindingElement(parent) &&
    !ts.isObjectLiteralElement(parent);
  return isOwnName || isVariable ? undefined : keyOf(node);
}

/** A private name is one of its class. */
function keyOf(name: ts.Node): string {
  if (!ts.isPrivateIdentifier(name)) return name.getText();
  for (let node: ts.Node = name; node; node = node.parent) {
    if (ts.isClassLike(node) && node.members.some((member) => member.name?.getText() === name.text)) {
      return `${name.getSourceFile().fileName}${node.pos}${name.text}`;
    }
  }
  throw new Error(`Cannot find whose ${name.text} is`);
}

function without(code: string, nodes: ts.Node[]): string {
  const fromTheEnd = nodes.sort((one, other) => other.pos - one.pos);
  return fromTheEnd.reduce((left, node) => left.slice(0, node.getStart()) + left.slice(node.end), code);
}
