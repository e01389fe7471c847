import ts from "typescript";

/**
 * JavaScript of one module in which errors of the protocol say which kind they are, but not what it is that the other end did: that is
 * for who writes a server, and its log has it.
 */
export function withoutDetails(code: string): string {
  const file = ts.createSourceFile("bundle.js", code, ts.ScriptTarget.ESNext, true, ts.ScriptKind.JS);
  const details: ts.Node[] = [];
  const visit = (node: ts.Node) => {
    const detail = ts.isNewExpression(node) ? detailOf(node) : undefined;
    if (detail) details.unshift(detail);
    else ts.forEachChild(node, visit);
  };
  visit(file);
  return details.reduce((left, node) => `${left.slice(0, node.getStart())}""${left.slice(node.end)}`, code);
}

function detailOf({ expression, arguments: given }: ts.NewExpression): ts.Node | undefined {
  const [first, second] = given ?? [];
  if (expression.getText() === "FrameError") return first;
  const isViolation = expression.getText() === "ScpError" && first !== undefined && ts.isNumericLiteral(first);
  return isViolation ? second : undefined;
}
