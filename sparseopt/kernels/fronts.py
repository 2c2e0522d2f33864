"""LDL' of a sparse symmetric quasi-definite matrix by dense fronts (Duff and Reid, 1983).

Neighbouring columns of L with the same rows are a node: a dense panel of `size` rows and `width`
columns, by columns, from panel[s] in `values`. Its rows are its own columns first[s]:first[s + 1]
and those at below[s]:below[s + 1] in `rows`. What a node leaves to its ancestors is a dense
triangle on a stack, since nodes come in postorder; the next node with these rows adds it up.
All work is then in columns of dense matrices that stay in the cache, four at a time, and by BLAS
where they are large.
"""

import numpy as np

from sparseopt._jit import kernel
from sparseopt.kernels.lapack import subtract_product

U = np.uint64
# Pivots of one block, and rows of one tile: together they stay in the nearest cache.
_BLOCK, _TILE = 32, 128
# Columns that BLAS is given at a time, and operations from which it is worth a call.
COLUMNS, _MANY = 64, 20_000
# Columns of a node, so that one is factorised in the time that a call may take.
_WIDEST = 256


@kernel
def postorder(parent, child, sibling, order):
    """Number of each column in a postorder of the tree into `order`; the two before are work space."""
    n = parent.size
    for i in range(n):
        child[i] = -1
    for i in range(n - 1, -1, -1):
        if parent[i] >= 0:
            sibling[i] = child[parent[i]]
            child[parent[i]] = i
    number = 0
    for root in range(n):
        if parent[root] >= 0:
            continue
        i = root
        while True:
            while child[i] >= 0:  # down to a leaf; the way is not walked again
                down = child[i]
                child[i] = -1
                i = down
            order[i] = number
            number += 1
            if i == root:
                break
            i = sibling[i] if sibling[i] >= 0 else parent[i]
    return number


def _pays(begin, middle, end, counts, zeros, to):
    """Whether the nodes begin:middle and middle:end become one; then the zeros are counted for it."""
    left, right, below = middle - begin, end - middle, counts[end - 1]
    width = left + right
    if width > _WIDEST:
        return False
    # rows of the left node below its columns are among those of the right one
    new = zeros[to - 1] + zeros[to] + left * (right + below - counts[middle - 1])
    total = width * (width + 1) // 2 + width * below
    share = 0.8 if width <= 4 else (0.15 if width <= 16 else (0.1 if width <= 48 else 0.05))
    if new > share * total:
        return False
    zeros[to - 1] = new
    return True


@kernel
def nodes(parent, counts, first, node, zeros):
    """First column of each node into `first` and the node of each column into `node`; returns the number of nodes.

    A node takes in its last child where few zeros come with it. `zeros` is work space.
    """
    n, last = parent.size, -1
    for k in range(n):
        is_next = last >= 0 and parent[k - 1] == k and counts[k] + 1 == counts[k - 1]
        if is_next and k - first[last] < _WIDEST:
            continue
        last += 1
        first[last], zeros[last] = k, 0
    last += 1
    first[last] = n
    # merge neighbours from the left: `to` is the last node that is kept
    to = 0
    for s in range(1, last):
        first[to + 1], zeros[to + 1] = first[s], 0
        to += 1
        while (
            to > 0
            and parent[first[to] - 1] == first[to]
            and _pays(first[to - 1], first[to], first[s + 1], counts, zeros, to)
        ):
            to -= 1
    if last > 0:
        first[to + 1] = n
        last = to + 1
    for s in range(last):
        for k in range(first[s], first[s + 1]):
            node[k] = s
    return last


@kernel
def rows_below(indptr, indices, parent, first, node, n_nodes, below, filled, seen, rows):
    """Rows of each node below its columns, ascending, into `rows` from below[s] on; the two between are work space."""
    for s in range(n_nodes):
        filled[s], seen[s] = 0, -1
    for i in range(parent.size):
        for t in range(indptr[i], indptr[i + 1]):
            s = node[indices[t]]
            while first[s + 1] <= i and seen[s] != i:
                seen[s] = i
                rows[below[s] + filled[s]] = i
                filled[s] += 1
                s = node[parent[first[s + 1] - 1]]


def _reduce(out, to, stride, top, columns, values, panel, size, pivots, first, width, scaled):
    """Subtract what pivots first:first + width of a panel owe to its columns top:top + columns, lower triangle only.

    Column j of them begins, with row 0 of the panel, at to + j * stride in `out`. `scaled` is work space.
    What is above the diagonal has no meaning.
    """
    if width * columns * (size - top) > _MANY:
        for begin in range(0, columns, COLUMNS):
            own, count = top + begin, min(COLUMNS, columns - begin)
            for k in range(width):
                a, t = U(panel + k * size + own), U(k * count)
                for j in range(U(count)):
                    scaled[t + j] = values[a + j] * pivots[first + k]
            subtract_product(
                size - own, count, width, values[panel + own :], size, scaled, count,
                out[to + begin * stride + own :], stride,
            )  # fmt: skip
        return
    for begin in range(top, size, _TILE):
        end = min(begin + _TILE, size)
        for block in range(0, width, _BLOCK):
            stop = min(block + _BLOCK, width)
            for j in range(min(columns, end - top)):
                row = max(begin, top + j)
                _reduce_column(out, to + j * stride, row, end, top + j, values, panel, size, pivots, first, block, stop)


def _reduce_column(out, to, row, end, own, values, panel, size, pivots, first, k, stop):
    """One column of the above on rows row:end, by pivots k:stop, where `own` is its row."""
    t, n = U(to + row), U(end - row)
    while k + 4 <= stop:
        start = panel + k * size
        d0, d1 = values[start + own] * pivots[first + k], values[start + size + own] * pivots[first + k + 1]
        d2 = values[start + 2 * size + own] * pivots[first + k + 2]
        d3 = values[start + 3 * size + own] * pivots[first + k + 3]
        a, b, c, d = U(start + row), U(start + size + row), U(start + 2 * size + row), U(start + 3 * size + row)
        for i in range(n):
            out[t + i] -= values[a + i] * d0 + values[b + i] * d1 + values[c + i] * d2 + values[d + i] * d3
        k += 4
    while k < stop:
        d0, a = values[panel + k * size + own] * pivots[first + k], U(panel + k * size + row)
        for i in range(n):
            out[t + i] -= values[a + i] * d0
        k += 1


def _factorise_panel(values, panel, size, width, pivots, first, scaled):
    """LDL' of the columns of a panel, in place."""
    for block in range(0, width, _BLOCK):
        stop = min(block + _BLOCK, width)
        _reduce(values, panel + block * size, size, block, stop - block, values, panel, size, pivots, first, block,
                scaled)  # fmt: skip
        for j in range(block, stop):
            column = panel + j * size
            _reduce_column(values, column, j, size, j, values, panel, size, pivots, first, block, j)
            pivot = values[column + j]
            pivots[first + j] = pivot
            scale = 1.0 / pivot
            for i in range(U(column + j + 1), U(column + size)):
                values[i] *= scale


def _add_up(begin, n, rows, local, relative, values, panel, width, size, stack, to, at):
    """Add the triangle of n rows that a child left at stack[at] to a panel, and to the triangle at stack[to]."""
    rest = size - width
    for i in range(n):
        relative[i] = local[rows[begin + i]]
    for j in range(n):
        column, t = relative[j], at + j * n
        if column < width:
            start = panel + column * size
            for i in range(U(j), U(n)):
                values[U(start + relative[i])] += stack[U(t) + i]
        else:
            start = to + (column - width) * rest - width
            for i in range(U(j), U(n)):
                stack[U(start + relative[i])] += stack[U(t) + i]


def _assemble(s, indptr, indices, data, diagonal, first, below, rows, panels, values, local):
    """The entries of the matrix in the panel of a node, and the places of its rows in `local`."""
    width, count, panel = first[s + 1] - first[s], below[s + 1] - below[s], panels[s]
    for i in range(U(panel), U(panels[s + 1])):
        values[i] = 0.0
    for k in range(width):
        local[first[s] + k] = k
    for k in range(count):
        local[rows[below[s] + k]] = width + k
    for k in range(width):
        column, start = first[s] + k, panel + k * (width + count)
        values[start + k] = diagonal[column]
        for t in range(indptr[column], indptr[column + 1]):
            values[start + local[indices[t]]] += data[t]


@kernel
def family(parent, first, node, below, panels, n_nodes, children, kin):
    """Children of each node, nodes in its tree and where its panel starts; returns the most that the stack holds."""
    end, most = 0, 1
    panels[0] = 0
    for s in range(n_nodes):
        children[s], kin[s] = 0, 1
    for s in range(n_nodes):
        width, count, child = first[s + 1] - first[s], below[s + 1] - below[s], s - 1
        panels[s + 1] = panels[s] + width * (width + count)
        most = max(most, end + count * count)
        for _ in range(children[s]):
            n = below[child + 1] - below[child]
            end -= n * n
            child -= kin[child]
        kin[s] = s - child
        end += count * count
        if count:
            children[node[parent[first[s + 1] - 1]]] += 1
    return most


def factorise_nodes(indptr, indices, data, diagonal, first, below, rows, panels, children, kin, values, pivots, local,
                    relative, stack, top, scaled, n_nodes, s, work):  # fmt: skip
    """Factorise from node s on, in place, for about `work` operations; returns the next node, -1 at a zero pivot.

    The matrix is its lower triangle without the diagonal. top[0] is where the stack ends; `local`,
    `relative` and `scaled` are work space.
    """
    if s == 0:
        top[0] = 0
    while s < n_nodes and work > 0:
        width, count = first[s + 1] - first[s], below[s + 1] - below[s]
        size, panel, to = width + count, panels[s], top[0]
        _assemble(s, indptr, indices, data, diagonal, first, below, rows, panels, values, local)
        for i in range(U(to), U(to + count * count)):
            stack[i] = 0.0
        at, child = to, s - 1
        for _ in range(children[s]):
            n = below[child + 1] - below[child]
            at -= n * n
            _add_up(below[child], n, rows, local, relative, values, panel, width, size, stack, to, at)
            child -= kin[child]
        _factorise_panel(values, panel, size, width, pivots, first[s], scaled)
        for k in range(width):
            if pivots[first[s] + k] == 0.0:
                return -1
        _reduce(stack, to - width, count, width, count, values, panel, size, pivots, first[s], width, scaled)
        if at < to:
            for i in range(count * count):
                stack[at + i] = stack[to + i]
        top[0] = at + count * count
        s += 1
        work -= width * size * size + width * 200
    return s


def solve_nodes(first, below, rows, panels, values, pivots, n_nodes, work, x):
    """Solution of L D L' x = x, in place; `work` holds one column of a panel."""
    for s in range(n_nodes):
        begin, width, count = first[s], first[s + 1] - first[s], below[s + 1] - below[s]
        size, base = width + count, below[s] - width
        for i in range(count):
            work[width + i] = 0.0
        for k in range(width):
            known = x[begin + k]
            column = panels[s] + k * size
            for i in range(U(k + 1), U(width)):
                x[U(begin) + i] -= values[U(column) + i] * known
            for i in range(U(width), U(size)):
                work[i] += values[U(column) + i] * known
        for i in range(width, size):
            x[rows[base + i]] -= work[i]
    for k in range(x.size):
        x[k] /= pivots[k]
    for s in range(n_nodes - 1, -1, -1):
        begin, width, count = first[s], first[s + 1] - first[s], below[s + 1] - below[s]
        size, base = width + count, below[s] - width
        for i in range(width, size):
            work[i] = x[rows[base + i]]
        for k in range(width - 1, -1, -1):
            total = x[begin + k]
            column = panels[s] + k * size
            for i in range(U(k + 1), U(width)):
                total -= values[U(column) + i] * x[U(begin) + i]
            for i in range(U(width), U(size)):
                total -= values[U(column) + i] * work[i]
            x[begin + k] = total
