// Attention weights as they come: one byte a weight, heads one after the other, rows are queries.

/** Bytes out of base64. */
export function bytesOf(base64) {
  const text = atob(base64);
  const bytes = new Uint8Array(text.length);
  for (let index = 0; index < text.length; index += 1) bytes[index] = text.charCodeAt(index);
  return bytes;
}

/**
 * The weights of one layer. `heads`, `rows` and `columns` are counts, `bytes` has 255 for weight 1,
 * `queries` and `keys` are the tokens; `queryGroups` and `keyGroups` say which tokens make up one word.
 */
export class LayerWeights {
  constructor(heads, queries, keys, bytes) {
    Object.assign(this, { heads, queries, keys, bytes, rows: queries.length, columns: keys.length });
  }

  static fromAnswer(answer) {
    const layer = new LayerWeights(
      answer.heads,
      answer.query_tokens,
      answer.key_tokens,
      bytesOf(answer.weights),
    );
    layer.queryGroups = answer.query_words;
    layer.keyGroups = answer.key_words;
    return layer;
  }

  /** The weights by words: what the pieces of a word get is added up, what they give is averaged. */
  byWords() {
    const rows = groupsOf(this.queryGroups, this.rows);
    const columns = groupsOf(this.keyGroups, this.columns);
    const sums = new Float32Array(this.heads * rows.count * columns.count);
    let from = 0;
    for (let head = 0; head < this.heads; head += 1) {
      for (let row = 0; row < this.rows; row += 1) {
        const to = (head * rows.count + rows.of[row]) * columns.count;
        const share = 1 / rows.sizes[rows.of[row]];
        for (let column = 0; column < this.columns; column += 1) {
          sums[to + columns.of[column]] += share * this.bytes[from];
          from += 1;
        }
      }
    }
    const bytes = Uint8Array.from(sums, (value) => Math.min(255, Math.round(value)));
    return new LayerWeights(this.heads, joined(this.queries, rows), joined(this.keys, columns), bytes);
  }

  /** One matrix for the chosen heads: their mean [rows × columns], 0–255. */
  meanOf(heads) {
    const size = this.rows * this.columns;
    const mean = new Float32Array(size);
    for (const head of heads) {
      const start = head * size;
      for (let index = 0; index < size; index += 1) mean[index] += this.bytes[start + index];
    }
    for (let index = 0; index < size; index += 1) mean[index] /= heads.length || 1;
    return mean;
  }

  /**
   * The lines worth drawing for a head: [row, column, byte] in one flat array, all at least `least` (a
   * byte).
   */
  linesOf(head, least) {
    const lines = [];
    let at = head * this.rows * this.columns;
    for (let row = 0; row < this.rows; row += 1) {
      for (let column = 0; column < this.columns; column += 1, at += 1) {
        if (this.bytes[at] >= least) lines.push(row, column, this.bytes[at]);
      }
    }
    return Int32Array.from(lines);
  }
}

/** The strongest entries of a row or a column of a matrix: [index, value] pairs, the largest first. */
export function strongest(matrix, columns, rows, { row, column }, count) {
  const found = [];
  if (row !== undefined) {
    for (let index = 0; index < columns; index += 1) found.push([index, matrix[row * columns + index]]);
  } else {
    for (let index = 0; index < rows; index += 1) found.push([index, matrix[index * columns + column]]);
  }
  return found.sort((one, other) => other[1] - one[1]).slice(0, count);
}

/** Tokens by word: the number of words, the word of each token, the size of each word. */
function groupsOf(groups, length) {
  const of = new Int32Array(length);
  const sizes = [];
  for (let index = 0; index < length; index += 1) {
    const isNew = !groups || index === 0 || groups[index] !== groups[index - 1];
    if (isNew) sizes.push(0);
    of[index] = sizes.length - 1;
    sizes[sizes.length - 1] += 1;
  }
  return { of, sizes, count: sizes.length };
}

function joined(tokens, groups) {
  const words = Array.from({ length: groups.count }, () => "");
  tokens.forEach((token, index) => {
    words[groups.of[index]] += token;
  });
  return words.map((word) => (word.length > 1 ? word.replace(/^▁/, "") : word));
}
