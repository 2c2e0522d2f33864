"""LDL' of sparse symmetric quasi-definite matrices whose diagonal changes: ordered and analysed once.

Where the factor stays thin it is made row by row, else from dense fronts.
"""

import math
from abc import abstractmethod
from dataclasses import dataclass, field

import numpy as np

from sparseopt._jit import Term, alike, kernel
from sparseopt.kernels import analysis, fronts, ldl, ordering, patterns
from sparseopt.kernels.fronts import factorise_nodes, solve_nodes
from sparseopt.kernels.ldl import factorise_rows, find_rows, solve_in_place
from sparseopt.parts import at_once

# Operations for each entry of the factor from which dense fronts pay for their making (as in CHOLMOD), in columns
# whose rows are those of the next one and itself: others are fronts of their own.
_THICK = 40.0
# Operations of one call, a few hundredths of a second.
PIECE = 50_000_000
# What a field that is changed in place has.
_MEMORY = {"memory": True}
# Variables eliminated in one call of the ordering.
_ROUND = 5000


class SparseLDL:
    """A symmetric pattern with its entries off the diagonal, and the factor for a diagonal.

    Parameters
    ----------
    indptr, indices, data : arrays
        Both halves of the matrix without its diagonal, by columns.
    in_rows : bool
        Whether the factor must be the simple one, of rows.
    """

    def __init__(self, indptr, indices, data, in_rows=False):
        at_once(self.analyse(indptr, indices, data, in_rows))

    @classmethod
    def in_pieces(cls, indptr, indices, data):
        """The same, made in pieces."""
        return (yield from object.__new__(cls).analyse(indptr, indices, data, False))

    def analyse(self, indptr, indices, data, in_rows):
        """Order, analyse and allocate, in pieces."""
        n = self.size = indptr.size - 1
        rows, values, sizes = np.empty(indices.size // 2, dtype=np.int64), np.empty(indices.size // 2), np.empty(2)
        starts, tops = np.empty((2, n + 1), dtype=np.int64)
        parent, counts = np.empty((2, n), dtype=np.int64)
        memory = _memory_of_order(indptr, indices)
        while analysis.analyse(indptr, indices, data, *memory, starts, rows, values, parent, counts, tops, sizes):
            yield
        self.place, marks = memory[3][-1, :n], np.empty(n, dtype=np.int64)
        yield
        self.entries, self.operations = int(sizes[0]), float(sizes[1])
        self.factor: RowFactor | FrontFactor
        if in_rows or not self._is_thick(parent, counts):
            self.factor = RowFactor.of(starts, rows, values, parent, tops, marks)
            return self
        order, child, sibling = (np.empty(self.size, dtype=np.int64) for _ in range(3))
        fronts.postorder(parent, child, sibling, order)
        self.place = order[self.place]
        patterns.triangle(indptr, indices, data, self.place, 1, starts, rows, values)
        yield
        ldl.elimination_tree(starts, rows, parent, counts, marks)
        yield
        lower = np.empty_like(indptr), np.empty_like(rows), np.empty_like(values)
        patterns.triangle(indptr, indices, data, self.place, -1, *lower)
        yield
        self.factor = FrontFactor.of(starts, rows, lower, parent, counts)
        return self

    def _is_thick(self, parent, counts):
        """Whether dense fronts have enough to do in columns that continue each other."""
        if self.operations <= _THICK * self.entries:
            return False
        chained = counts[(parent >= 0) & (counts[parent] + 1 == counts)].astype(np.float64)
        return not chained @ chained <= _THICK * self.entries

    def factorise(self, diagonal) -> bool:
        """Factorise with this diagonal; whether all pivots are finite and none is zero."""
        ordered = np.empty(self.size)
        ordered[self.place] = diagonal
        done = 0
        while 0 <= done < self.factor.steps:  # in pieces, for the sake of Ctrl-C
            done = factorise_piece(self.factor, ordered, done, PIECE)
        return done == self.factor.steps and bool(np.isfinite(self.factor.pivots).all())

    def solve(self, right):
        """Solution for a right-hand side."""
        x = np.empty(self.size)
        x[self.place] = right
        solve_with(self.factor, x)
        return x[self.place]


class LDLFactor(Term):
    """A factor whose memory stays, for kernels: rows and columns in the order of elimination."""

    @abstractmethod
    def factorise(self, diagonal, done, work):
        """Go on at step `done` for about `work` operations; the next step, negative at a zero pivot."""

    @abstractmethod
    def solve(self, x):
        """Solution of L D L' x = x, in place."""


@dataclass(frozen=True, eq=False)
class RowFactor(LDLFactor):
    """The factor row by row."""

    steps: int
    matrix_starts: np.ndarray
    matrix_rows: np.ndarray
    matrix_values: np.ndarray
    parent: np.ndarray
    starts: np.ndarray
    rows: np.ndarray = field(repr=False, metadata=_MEMORY)
    #: Columns of each row, and where they end, which are found with the first factorisation.
    columns: np.ndarray = field(repr=False, metadata=_MEMORY)
    ends: np.ndarray = field(repr=False, metadata=_MEMORY)
    values: np.ndarray = field(repr=False, metadata=_MEMORY)
    pivots: np.ndarray = field(repr=False, metadata=_MEMORY)
    filled: np.ndarray = field(repr=False, metadata=_MEMORY)
    row: np.ndarray = field(repr=False, metadata=_MEMORY)
    path: np.ndarray = field(repr=False, metadata=_MEMORY)
    marks: np.ndarray = field(repr=False, metadata=_MEMORY)

    @classmethod
    def of(cls, matrix_starts, matrix_rows, matrix_values, parent, starts, marks):
        """The factor of a matrix that has been analysed, given by its upper triangle, whose columns start there."""
        size, entries = parent.size, int(starts[-1])
        filled, path, ends = np.empty((3, size), dtype=np.int64)
        rows, columns = np.empty((2, entries), dtype=np.int64)
        row, pivots = np.empty((2, size))
        ends[-1:] = -1
        return alike(
            cls, steps=size, matrix_starts=matrix_starts, matrix_rows=matrix_rows, matrix_values=matrix_values,
            parent=parent, starts=starts, rows=rows, columns=columns, ends=ends, values=np.empty(entries),
            pivots=pivots, filled=filled, row=row, path=path, marks=marks,
        )  # fmt: skip

    def factorise(self, diagonal, done, work):
        if self.ends[self.ends.size - 1] < 0:
            find_rows(
                self.matrix_starts, self.matrix_rows, self.parent, self.starts, self.rows, self.columns, self.ends,
                self.filled, self.path, self.marks,
            )  # fmt: skip
        return factorise_rows(
            self.matrix_starts, self.matrix_rows, self.matrix_values, diagonal, self.starts, self.rows, self.columns,
            self.ends, self.values, self.pivots, self.filled, self.row, done, work,
        )  # fmt: skip

    def solve(self, x):
        solve_in_place(self.starts, self.rows, self.values, self.pivots, x)


@dataclass(frozen=True, eq=False)
class FrontFactor(LDLFactor):
    """The factor from dense fronts."""

    steps: int
    matrix_starts: np.ndarray
    matrix_rows: np.ndarray
    matrix_values: np.ndarray
    first: np.ndarray
    below: np.ndarray
    rows: np.ndarray
    panels: np.ndarray
    children: np.ndarray
    kin: np.ndarray
    values: np.ndarray = field(repr=False, metadata=_MEMORY)
    pivots: np.ndarray = field(repr=False, metadata=_MEMORY)
    local: np.ndarray = field(repr=False, metadata=_MEMORY)
    relative: np.ndarray = field(repr=False, metadata=_MEMORY)
    stack: np.ndarray = field(repr=False, metadata=_MEMORY)
    end: np.ndarray = field(repr=False, metadata=_MEMORY)
    scaled: np.ndarray = field(repr=False, metadata=_MEMORY)
    column: np.ndarray = field(repr=False, metadata=_MEMORY)

    @classmethod
    def of(cls, starts, rows, lower, parent, counts):
        """The factor of a matrix in postorder, given by both triangles: the pattern of the upper one, and the lower one."""
        size = parent.size
        first, node, work = (np.empty(size + 1, dtype=np.int64) for _ in range(3))
        n = fronts.nodes(parent, counts, first, node, work)
        filled, below = np.empty(n, dtype=np.int64), np.empty(n + 1, dtype=np.int64)
        patterns.add_up(counts[first[1 : n + 1] - 1], below)
        found = np.empty(below[-1], dtype=np.int64)
        fronts.rows_below(starts, rows, parent, first, node, n, below, filled, work, found)
        panels, children, kin = (np.empty(n + 1, dtype=np.int64) for _ in range(3))
        most = fronts.family(parent, first, node, below, panels, n, children, kin)
        return cls(
            n, *lower, first, below, found, panels, children, kin, np.empty(panels[n]), np.empty(size), work, node,
            np.empty(most), np.zeros(1, dtype=np.int64), np.empty(fronts.COLUMNS * int(np.diff(first[: n + 1]).max())),
            np.empty(size),
        )  # fmt: skip

    def factorise(self, diagonal, done, work):
        return factorise_nodes(
            self.matrix_starts, self.matrix_rows, self.matrix_values, diagonal, self.first, self.below, self.rows,
            self.panels, self.children, self.kin, self.values, self.pivots, self.local, self.relative, self.stack,
            self.end, self.scaled, self.steps, done, work,
        )  # fmt: skip

    def solve(self, x):
        solve_nodes(
            self.first, self.below, self.rows, self.panels, self.values, self.pivots, self.steps, self.column, x
        )


@kernel
def factorise_piece(factor, diagonal, done, work):
    """Go on with a factorisation at step `done` for about `work` operations, in place; the next step, or negative."""
    return factor.factorise(diagonal, done, work)


@kernel
def solve_with(factor, x):
    """Solution of L D L' x = x, in place."""
    factor.solve(x)


# A block without entries, the number of rows it stands under the first, and its CSC arrays.
_NOTHING = 0, np.zeros(1, dtype=np.int64), np.zeros(0, dtype=np.int64), np.zeros(0)


def joined(blocks, size):
    """Both halves of a symmetric matrix of up to three blocks: the number of rows each stands under the first, and its CSC arrays."""
    # what stands on the diagonal comes first
    given = [_NOTHING, *blocks] if blocks[0][0] > 0 else blocks
    first, second, third = (*given, _NOTHING, _NOTHING)[:3]
    most = 2 * sum(block[2].size for block in blocks)
    ends, starts = np.empty((2, size + 1), dtype=np.int64)
    indices, data = np.empty(most, dtype=np.int64), np.empty(most)
    patterns.join(size, second[0], third[0], *first[1:], *second[1:], *third[1:], ends, starts, indices, data)
    count = starts[-1]
    return starts, indices[:count], data[:count]


def fill_reducing(indptr, indices):
    """Where minimum degree puts each row and column of a symmetric pattern, so that L stays sparse."""
    return SparseLDL(indptr, indices, np.ones(indices.size), in_rows=True).place


def _memory_of_order(indptr, indices):
    """What `analyse` takes after the matrix, up to its results."""
    n = indptr.size - 1
    space, ends = np.empty((ordering.WIDE, n), dtype=np.int64), np.empty((ordering.TALL, n + 1), dtype=np.int64)
    ends.fill(-1)
    lists, spare = np.empty((2, indices.size + 2 * n + 8), dtype=np.int64)
    dense = max(16, int(10 * math.sqrt(n)))
    return dense, _ROUND, space, ends, lists, spare, np.zeros(ordering.NUMBERS, dtype=np.int64)
