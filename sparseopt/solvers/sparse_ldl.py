"""LDL' of sparse symmetric quasi-definite matrices whose diagonal changes: ordered and analysed once.

Where the factor stays thin it is made row by row, else from dense fronts.
"""

import numpy as np

from sparseopt.kernels import fronts, ldl, ordering, patterns

# Operations for each entry of the factor from which dense fronts pay for their making (as in CHOLMOD).
_THICK = 40.0
# Operations of one call, some hundredths of a second.
_PIECE, _DENSE_PIECE = 50_000_000, 200_000_000
# Variables eliminated in one call of the ordering.
_ROUND = 5000


class SparseLDL:
    """A symmetric pattern with its entries off the diagonal, and the factor for a diagonal.

    Parameters
    ----------
    indptr, indices, data : arrays
        Both halves of the matrix without its diagonal, by columns.
    in_rows : bool
        Whether the factor must be the simple one, of `parts`.
    """

    def __init__(self, indptr, indices, data, in_rows=False):
        self.size = indptr.size - 1
        self.place = fill_reducing(indptr, indices)
        rows, values = np.empty(indices.size // 2, dtype=np.int64), np.empty(indices.size // 2)
        starts = np.empty_like(indptr)
        patterns.triangle(indptr, indices, data, self.place, 1, starts, rows, values)
        parent, counts, marks = (np.empty(self.size, dtype=np.int64) for _ in range(3))
        ldl.elimination_tree(starts, rows, parent, counts, marks)
        self.entries = int(counts.sum())
        self.operations = float(counts @ counts.astype(np.float64))
        if in_rows or self.operations <= _THICK * self.entries:
            self.factor = _Rows(starts, rows, values, parent, counts, marks)
            return
        order, child, sibling = (np.empty(self.size, dtype=np.int64) for _ in range(3))
        fronts.postorder(parent, child, sibling, order)
        self.place = order[self.place]
        patterns.triangle(indptr, indices, data, self.place, 1, starts, rows, values)
        ldl.elimination_tree(starts, rows, parent, counts, marks)
        self.factor = _Fronts(starts, rows, parent, counts)
        lower, below, entries = np.empty_like(indptr), np.empty_like(rows), np.empty_like(values)
        patterns.triangle(indptr, indices, data, self.place, -1, lower, below, entries)
        self.factor.matrix = lower, below, entries

    def factorise(self, diagonal) -> bool:
        """Factorise with this diagonal; whether all pivots are finite and none is zero."""
        ordered = np.empty(self.size)
        ordered[self.place] = diagonal
        return self.factor.factorise(ordered)

    def solve(self, right):
        """Solution for a right-hand side."""
        x = np.empty(self.size)
        x[self.place] = right
        self.factor.solve(x)
        return x[self.place]


class _Rows:
    """The factor row by row."""

    def __init__(self, starts, rows, values, parent, counts, marks):
        size = parent.size
        self.matrix, self.parent, self.marks = (starts, rows, values), parent, marks
        self.starts = np.empty(size + 1, dtype=np.int64)
        patterns.add_up(counts, self.starts)
        self.rows, self.values = np.empty(self.starts[-1], dtype=np.int64), np.empty(self.starts[-1])
        self.pivots, self.row = np.empty(size), np.empty(size)
        self.filled, self.path = np.empty(size, dtype=np.int64), np.empty(size, dtype=np.int64)

    @property
    def parts(self):
        """starts, rows, values and pivots."""
        return self.starts, self.rows, self.values, self.pivots

    def factorise(self, diagonal):
        done, size = 0, self.pivots.size
        while 0 <= done < size:  # in pieces, for the sake of Ctrl-C
            done = ldl.factorise(
                *self.matrix, diagonal, self.parent, *self.parts, self.filled, self.row, self.path, self.marks, done,
                _PIECE,
            )  # fmt: skip
        return done == size and bool(np.isfinite(self.pivots).all())

    def solve(self, x):
        ldl.solve(*self.parts, x)


class _Fronts:
    """The factor from dense fronts."""

    def __init__(self, starts, rows, parent, counts):
        size = parent.size
        self.first, node, work = (np.empty(size + 1, dtype=np.int64) for _ in range(3))
        n = self.n_nodes = fronts.nodes(parent, counts, self.first, node, work)
        below = np.empty(n, dtype=np.int64)
        self.below = np.empty(n + 1, dtype=np.int64)
        patterns.add_up(counts[self.first[1 : n + 1] - 1], self.below)
        self.rows = np.empty(self.below[-1], dtype=np.int64)
        fronts.rows_below(starts, rows, parent, self.first, node, n, self.below, below, work, self.rows)
        self.panels, self.children, self.kin = (np.empty(n + 1, dtype=np.int64) for _ in range(3))
        most = fronts.family(parent, self.first, node, self.below, self.panels, n, self.children, self.kin)
        self.values, self.pivots, self.stack = np.empty(self.panels[n]), np.empty(size), np.empty(most)
        self.local, self.relative = work, node
        self.column = np.empty(size)

    def factorise(self, diagonal):
        state = np.zeros(2, dtype=np.int64)
        done = 0
        while 0 <= done < self.n_nodes:  # in pieces, for the sake of Ctrl-C
            done = fronts.factorise(
                *self.matrix, diagonal, self.first, self.below, self.rows, self.panels, self.children, self.kin,
                self.values, self.pivots, self.local, self.relative, self.stack, state, self.n_nodes, _DENSE_PIECE,
            )  # fmt: skip
        return done == self.n_nodes and bool(np.isfinite(self.pivots).all())

    def solve(self, x):
        fronts.solve(
            self.first, self.below, self.rows, self.panels, self.values, self.pivots, self.n_nodes, self.column, x
        )


def joined(blocks, size):
    """Both halves of a symmetric matrix of CSC blocks, each given with the number of rows it stands under the first."""
    counts, starts = np.zeros(size, dtype=np.int64), np.empty(size + 1, dtype=np.int64)
    for below, block in blocks:
        patterns.count_block(block.indptr, block.indices, below, counts)
    patterns.add_up(counts, starts)
    indices, data = np.empty(starts[-1], dtype=np.int64), np.empty(starts[-1])
    for below, block in blocks:
        patterns.place_block(block.indptr, block.indices, block.data, below, counts, indices, data)
    return starts, indices, data


def fill_reducing(indptr, indices):
    """Where minimum degree puts each row and column of a symmetric pattern, so that L stays sparse."""
    n = indptr.size - 1
    start, length, elements, weight, degree, owner, mark, after, before = np.empty((9, n), dtype=np.int64)
    head, bucket, place = np.full((3, n + 1), -1, dtype=np.int64)
    lists = np.empty(indices.size + 2 * n + 8, dtype=np.int64)
    spare, state = np.empty_like(lists), np.zeros(5, dtype=np.int64)
    dense = max(16, int(10 * np.sqrt(n)))
    ordering.prepare(
        indptr, indices, dense, start, length, elements, weight, degree, owner, mark, head, after, before, lists, state
    )
    full = int(state[2])
    left = n - full
    while left:
        left = ordering.eliminate(
            start, length, elements, weight, degree, owner, mark, head, after, before, bucket, place, lists, spare,
            state, _ROUND,
        )  # fmt: skip
    place = place[:n]
    ordering.finish(owner, place, bucket, full)
    return place
