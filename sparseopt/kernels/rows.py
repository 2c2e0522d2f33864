"""Block descent on the rows of a matrix of coefficients, on a quadratic model whose matrix is in memory.

The model is tr(W'GW) / 2 + <L, W> + g(W) on a few rows: one matrix G serves all columns, so that the
second derivative in a row is G_jj times the identity, and one prox minimises over it exactly.
The slope GW + L is kept up to date, so that a row that stays zero costs no more than its prox. Both are
kept transposed, W as w[k, j], since a move adds multiples of a row of G to rows of the slope. Moves of a few rows wait
for one another: until they are added, the slope in a row is corrected for them.
"""

import numpy as np

from sparseopt._jit import kernel

# Unsigned indices spare numba the test for negative ones.
U = np.uint64
# Moves that wait to be added to the slope together: each of its entries is then read and written once for four of them.
TOGETHER = 4
# Entries of a row of G that stay in the nearest memory beside those of three others.
_NEAR = 512


def add_moves(gram, places, moves, count, slope):
    """Add to the slope, in place, what the moves of up to four rows change."""
    for t in range(count, TOGETHER):
        places[t] = places[0]
        for k in range(slope.shape[0]):
            moves[t, k] = 0.0
    a, b, c, d = U(places[0]), U(places[1]), U(places[2]), U(places[3])
    for start in range(0, slope.shape[1], _NEAR):
        end = min(start + _NEAR, slope.shape[1])
        for k in range(slope.shape[0]):
            s, t, u, v, q = moves[0, k], moves[1, k], moves[2, k], moves[3, k], U(k)
            for i in range(U(start), U(end)):
                slope[q, i] += s * gram[a, i] + t * gram[b, i] + u * gram[c, i] + v * gram[d, i]


@kernel
def descend_rows(rows, gram, features, w, slope, new, step, moves, places, history, tol):
    """Epochs over w, in place, one for each entry of `history`, which they fill, or until no move reaches `tol`.

    Returns the last epoch's largest move times its curvature, and the number of epochs. `new` and
    `step` are scratch for a row, `moves` and `places` for `TOGETHER` of them.
    """
    q, size = w.shape
    largest = 0.0
    for epoch in range(history.shape[0]):
        largest, waiting = 0.0, 0
        for j in range(size):
            bend = gram[j, j]
            for k in range(q):
                pull = slope[k, j]
                for t in range(waiting):
                    pull += moves[t, k] * gram[places[t], j]
                step[k] = w[k, j] - pull / bend
            rows.prox(features[j], step, 1.0 / bend, new)
            farthest = 0.0
            for k in range(q):
                move = new[k] - w[k, j]
                w[k, j] = new[k]
                moves[waiting, k] = move
                farthest = max(farthest, abs(move))
            if farthest == 0.0:
                continue
            largest = max(largest, bend * farthest)
            places[waiting] = j
            waiting += 1
            if waiting == TOGETHER:
                add_moves(gram, places, moves, waiting, slope)
                waiting = 0
        if waiting > 0:
            add_moves(gram, places, moves, waiting, slope)
        for k in range(q):
            for j in range(size):
                history[epoch, k, j] = w[k, j]
        if largest <= tol:
            return largest, epoch + 1
    return largest, history.shape[0]


@kernel
def descend_rows_through(rows, columns, bends, features, w, slope, image, new, step, history, tol):
    """`descend_rows` through the columns A of the samples, G = A'A: the slope stays, and `image` becomes A times all moves.

    Less to do where there are few samples. A column of A is a row of `columns`; `image` is zero at first.
    """
    q, size = w.shape
    largest = 0.0
    for epoch in range(history.shape[0]):
        largest = 0.0
        for j in range(size):
            row = U(j)
            for k in range(q):
                pull, r = slope[k, j], U(k)
                for i in range(columns.shape[1]):
                    pull += columns[row, U(i)] * image[r, U(i)]
                step[k] = w[k, j] - pull / bends[j]
            rows.prox(features[j], step, 1.0 / bends[j], new)
            for k in range(q):
                move, r = new[k] - w[k, j], U(k)
                if move == 0.0:
                    continue
                w[k, j] = new[k]
                largest = max(largest, bends[j] * abs(move))
                for i in range(columns.shape[1]):
                    image[r, U(i)] += move * columns[row, U(i)]
        for k in range(q):
            for j in range(size):
                history[epoch, k, j] = w[k, j]
        if largest <= tol:
            return largest, epoch + 1
    return largest, history.shape[0]


@kernel
def value_rows(rows, features, w, row):
    """g at w, whose columns belong to `features`; `row` is scratch."""
    total = 0.0
    for j in range(features.size):
        for k in range(row.size):
            row[k] = w[k, j]
        total += rows.value(features[j], row)
    return total


@kernel
def move_rows(rows, V, steps, out):
    """Prox of each row of V, with its step, into `out`."""
    for j in range(V.shape[0]):
        rows.prox(j, V[j], steps[j], out[j])
