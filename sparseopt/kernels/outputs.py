"""Small dense systems of many output neurons, each on a support of its own of one shared Gram matrix.

The support of output r are the features[starts[r]:starts[r + 1]]. With C the inverse of its Gram, its weights
are C b, and removing weight i costs w_i^2 / C_ii / 2 (Hassibi and Stork, 1992).
"""

import math

from sparseopt._jit import kernel

# Rank-one terms that wait to be subtracted together: each entry of the matrix is then read once for four of them.
TOGETHER = 4


def invert(A, pending, m):
    """Make minus the inverse of the upper triangle of A[:m, :m], positive definite, by sweeping its pivots."""
    for start in range(0, m, TOGETHER):
        count = min(TOGETHER, m - start)
        for t in range(count):
            k = start + t
            for i in range(k):
                pending[t, i] = A[i, k]
                A[i, k] = 0.0
            for i in range(k, m):
                pending[t, i] = A[k, i]
                A[k, i] = 0.0
            for s in range(t):
                factor = pending[s, k]
                for i in range(m):
                    pending[t, i] -= factor * pending[s, i]
                pending[s, k] = 0.0
            scale = 1.0 / math.sqrt(pending[t, k])
            for i in range(m):
                pending[t, i] *= scale
            # So that subtracting the outer product divides the row by the pivot, as a sweep does.
            pending[t, k] = -scale
        for t in range(count, TOGETHER):
            for i in range(m):
                pending[t, i] = 0.0
        subtract(A, pending, 0, m)


def factorise(A, pending, m):
    """Make the upper triangle of A[:m, :m], positive definite, the factor R of A = R'R (Cholesky), row by row."""
    for start in range(0, m, TOGETHER):
        end = min(start + TOGETHER, m)
        for k in range(start, end):
            t = k - start
            for i in range(k, m):
                pending[t, i] = A[k, i]
            for s in range(t):
                factor = pending[s, k]
                for i in range(k, m):
                    pending[t, i] -= factor * pending[s, i]
            scale = 1.0 / math.sqrt(pending[t, k])
            for i in range(k, m):
                pending[t, i] *= scale
                A[k, i] = pending[t, i]
        subtract(A, pending, end, m)


def subtract(A, pending, first, m):
    """Subtract the outer products of the four rows of `pending` from the upper triangle, two rows at a time.

    Rows and columns before `first` are left alone.
    """
    for i in range(first, m - 1, 2):
        a, b, c, d = pending[0, i], pending[1, i], pending[2, i], pending[3, i]
        e, f, g, h = pending[0, i + 1], pending[1, i + 1], pending[2, i + 1], pending[3, i + 1]
        A[i, i] -= a * a + b * b + c * c + d * d
        for j in range(i + 1, m):
            p, q, r, s = pending[0, j], pending[1, j], pending[2, j], pending[3, j]
            A[i, j] -= a * p + b * q + c * r + d * s
            A[i + 1, j] -= e * p + f * q + g * r + h * s
    if (m - first) % 2:
        a, b, c, d = pending[0, m - 1], pending[1, m - 1], pending[2, m - 1], pending[3, m - 1]
        A[m - 1, m - 1] -= a * a + b * b + c * c + d * d


def fit_output(H, b, features, start, m, A, pending, w):
    """Put minus the inverse of the support's Gram into the upper triangle of A, its weights into w."""
    for i in range(m):
        w[i] = 0.0
        row = features[start + i]
        for j in range(i, m):
            A[i, j] = H[row, features[start + j]]
    invert(A, pending, m)
    for i in range(m):
        value = b[features[start + i]]
        total = 0.0
        for j in range(i + 1, m):
            total -= A[i, j] * b[features[start + j]]
            w[j] -= A[i, j] * value
        w[i] += total - A[i, i] * value


def solve_factorised(R, w, m):
    """Solve R'R w = b in place of b."""
    for k in range(m):
        w[k] /= R[k, k]
        for i in range(k + 1, m):
            w[i] -= R[k, i] * w[k]
    for k in range(m - 1, -1, -1):
        total = w[k]
        for i in range(k + 1, m):
            total -= R[k, i] * w[i]
        w[k] = total / R[k, k]


@kernel
def refit_outputs(H, B, starts, features, A, pending, w, weights, first, last):
    """Write the least squares weights of outputs first to last into `weights`, one entry per feature."""
    for r in range(first, last):
        start, m = starts[r], starts[r + 1] - starts[r]
        for i in range(m):
            row = features[start + i]
            w[i] = B[r, row]
            for j in range(i, m):
                A[i, j] = H[row, features[start + j]]
        factorise(A, pending, m)
        solve_factorised(A, w, m)
        for i in range(m):
            weights[start + i] = w[i]


@kernel
def eliminate_outputs(H, B, starts, features, part, A, pending, w, diagonal, prices, first, last):
    """Write into `prices` at what loss each feature goes, eliminating a part of each support, the cheapest first.

    Losses never fall along the way, so that what is cheaper has gone before. What stays has an infinite price.
    """
    for r in range(first, last):
        start, m = starts[r], starts[r + 1] - starts[r]
        fit_output(H, B[r], features, start, m, A, pending, w)
        for i in range(m):
            diagonal[i] = -A[i, i]
            prices[start + i] = math.inf
        price = 0.0
        for t in range(min(m, int(part * m) + 1)):
            q, cheapest = 0, math.inf
            for i in range(m):
                loss = w[i] * w[i] / diagonal[i]
                if loss < cheapest:
                    q, cheapest = i, loss
            for i in range(q):
                pending[t, i] = -A[i, q]
            for i in range(q, m):
                pending[t, i] = -A[q, i]
            for s in range(t):
                factor = pending[s, q]
                for i in range(m):
                    pending[t, i] -= factor * pending[s, i]
            scale = 1.0 / math.sqrt(diagonal[q])
            step = w[q] * scale
            for i in range(m):
                pending[t, i] *= scale
                w[i] -= step * pending[t, i]
                diagonal[i] -= pending[t, i] * pending[t, i]
            # Never the cheapest again.
            w[q], diagonal[q] = math.inf, 1.0
            price = max(price, cheapest / 2)
            prices[start + q] = price
