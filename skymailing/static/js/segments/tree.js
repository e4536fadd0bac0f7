// Convert conditions between JSON and what the editor shows: a group of conditions and of groups that contain only
// conditions. A group is { rule: "all" | "any" | "none", items }, a condition is { leaf: { field, op, value } }.

function isLeaf(node) {
  return typeof node.field === "string" && typeof node.op === "string";
}

function findNodes(node) {
  return ["all", "any"].map((rule) => [rule, node[rule]]).find(([, nodes]) => Array.isArray(nodes));
}

function toGroup(rule, nodes) {
  const items = nodes.map((node) => (isLeaf(node) ? { leaf: node } : null));
  return items.length && items.every(Boolean) ? { rule, items } : null;
}

function toItem(node) {
  if (!node || typeof node !== "object") return null;
  if (isLeaf(node)) return { leaf: node };
  if (node.not && isLeaf(node.not)) return toGroup("none", [node.not]);
  if (node.not && Array.isArray(node.not.any)) return toGroup("none", node.not.any);
  const found = findNodes(node);
  return found ? toGroup(...found) : null;
}

// Return the top group, or null if the editor cannot show the conditions; throws if they are not JSON.
export function readTree(text) {
  if (!text.trim()) return { rule: "all", items: [] };
  const node = JSON.parse(text);
  const found = node && typeof node === "object" ? findNodes(node) : null;
  const [rule, nodes] = found || ["all", [node]];
  const items = nodes.map(toItem);
  return items.every(Boolean) ? { rule, items } : null;
}

export function writeGroup(rule, nodes) {
  return rule === "none" ? { not: { any: nodes } } : { [rule]: nodes };
}
