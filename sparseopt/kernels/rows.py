"""Block descent on the rows of a matrix of coefficients, on a quadratic model whose matrix is in memory.

The model is tr(W'GW) / 2 + <L, W> + g(W) on a few rows: one matrix G serves all columns, so that the
second derivative in a row is G_jj times the identity, and one prox minimises over it exactly.
`slope` = GW + L is kept up to date, so that a row that stays zero costs no more than its prox.
"""

from sparseopt._jit import kernel


@kernel
def descend_rows(rows, gram, features, W, slope, new, step, history, tol):
    """Epochs over W, in place, one for each row of `history`, which they fill, or until no move reaches `tol`.

    Returns the last epoch's largest move times its curvature, and the number of epochs. `new` and
    `step` are scratch for a row.
    """
    q = W.shape[1]
    largest = 0.0
    for epoch in range(history.shape[0]):
        largest = 0.0
        for j in range(W.shape[0]):
            bend = gram[j, j]
            for k in range(q):
                step[k] = W[j, k] - slope[j, k] / bend
            rows.prox(features[j], step, 1.0 / bend, new)
            moved = 0.0
            for k in range(q):
                step[k] = new[k] - W[j, k]
                moved = max(moved, abs(step[k]))
                W[j, k] = new[k]
            if moved == 0.0:
                continue
            largest = max(largest, bend * moved)
            for i in range(W.shape[0]):
                pull = gram[j, i]
                for k in range(q):
                    slope[i, k] += pull * step[k]
        for j in range(W.shape[0]):
            for k in range(q):
                history[epoch, j, k] = W[j, k]
        if largest <= tol:
            return largest, epoch + 1
    return largest, history.shape[0]


@kernel
def value_rows(rows, features, W):
    """g at W, whose rows belong to `features`."""
    total = 0.0
    for j in range(W.shape[0]):
        total += rows.value(features[j], W[j])
    return total


@kernel
def distance_rows(rows, W, slope, bends, step, new, distance):
    """How far the prox of a gradient step of length 1 / bends_j carries each row, in the units of the slope."""
    for j in range(W.shape[0]):
        distance[j] = 0.0
        if bends[j] == 0.0:
            continue
        for k in range(W.shape[1]):
            step[k] = W[j, k] - slope[j, k] / bends[j]
        rows.prox(j, step, 1.0 / bends[j], new)
        squares = 0.0
        for k in range(W.shape[1]):
            squares += (new[k] - W[j, k]) ** 2
        distance[j] = bends[j] * squares**0.5
