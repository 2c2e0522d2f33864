"""Block descent on the rows of a matrix of coefficients, on a quadratic model whose matrix is in memory.

The model is tr(W'GW) / 2 + <L, W> + g(W) on a few rows: one matrix G serves all columns, so that the
second derivative in a row is G_jj times the identity, and one prox minimises over it exactly.
The slope GW + L is kept up to date, so that a row that stays zero costs no more than its prox. Both are
kept transposed, W as w[k, j], since a move adds multiples of a row of G to rows of the slope.
"""

from sparseopt._jit import kernel


@kernel
def descend_rows(rows, gram, features, w, slope, new, step, history, tol):
    """Epochs over w, in place, one for each entry of `history`, which they fill, or until no move reaches `tol`.

    Returns the last epoch's largest move times its curvature, and the number of epochs. `new` and
    `step` are scratch for a row.
    """
    q, size = w.shape
    largest = 0.0
    for epoch in range(history.shape[0]):
        largest = 0.0
        for j in range(size):
            bend = gram[j, j]
            for k in range(q):
                step[k] = w[k, j] - slope[k, j] / bend
            rows.prox(features[j], step, 1.0 / bend, new)
            for k in range(q):
                move = new[k] - w[k, j]
                if move == 0.0:
                    continue
                w[k, j] = new[k]
                largest = max(largest, bend * abs(move))
                for i in range(size):
                    slope[k, i] += move * gram[j, i]
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
