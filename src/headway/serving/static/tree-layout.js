// Where the nodes of a search tree stand: steps across, and branches on the nearest line that is free.

/**
 * The start and the nodes, with `x` (step) and `y` (line), and with parent and children as objects. The
 * likeliest way on from a node runs straight; what branches off lies below it, as near as there is room.
 */
export function layOut(nodes) {
  const root = { id: null, text: "", score: 0, kept: true, best: true, parent: null, children: [] };
  const byId = new Map(nodes.map((node) => [node.id, { ...node, children: [] }]));
  for (const node of byId.values()) {
    node.parent = byId.get(node.parent) ?? root;
    node.parent.children.push(node);
  }
  const lines = [];
  // A list of what is still to be placed, not recursion: a long output is a deep tree.
  const waiting = [{ start: root, x: 0, line: 0 }];
  while (waiting.length) {
    const { start, x, line } = waiting.shift();
    const chain = chainFrom(start);
    const y = freeLine(lines, line, x, x + chain.length - 1);
    chain.forEach((node, index) => Object.assign(node, { x: x + index, y }));
    // From the end back: late branches lie near, and the long ones from early steps below them.
    const branches = chain.flatMap((node) =>
      node.children.slice(1).map((start) => ({ start, x: node.x + 1, line: y + 1 })),
    );
    waiting.unshift(...branches.reverse());
  }
  return [root, ...byId.values()];
}

/** A node and the likeliest way on from it, to its end. Children are put in order on the way. */
function chainFrom(start) {
  const chain = [];
  for (let node = start; node; node = node.children[0]) {
    node.children.sort((one, other) => rank(one) - rank(other) || other.score - one.score);
    chain.push(node);
  }
  return chain;
}

/** The first line from `line` on that is free between two steps; it is then taken. */
function freeLine(lines, line, first, last) {
  for (let y = line; ; y += 1) {
    lines[y] ??= [];
    if (lines[y].every(([from, to]) => to < first || from > last)) {
      lines[y].push([first, last]);
      return y;
    }
  }
}

function rank(node) {
  if (node.best) return 0;
  return node.kept ? 1 : 2;
}

/** The nodes from the start to a node. */
export function pathTo(node) {
  const path = [];
  for (let each = node; each; each = each.parent) path.unshift(each);
  return path;
}
