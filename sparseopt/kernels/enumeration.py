"""The best few of many rows, one set after another, on their Gram matrix.

What a set S of features explains is tr Q_S' H_S^-1 Q_S / 2. With N = Q Q' and those that have been chosen eliminated from
H and N, a pair explains

    (N_ii H_jj + N_jj H_ii - 2 N_ij H_ij) / (2 (H_ii H_jj - H_ij**2))

more, so that the responses are not needed, and a set costs a few multiplications.
"""

import numpy as np

from sparseopt._jit import kernel

# Unsigned indices spare numba the test for negative ones.
U = np.uint64


@kernel
def count_pairs(H, N, level, i, target):
    """How many features beyond i explain more than `target` together with it; without a division, for vectors."""
    p, count = H.shape[2], 0
    h, n = H[level, i, i], N[level, i, i]
    for q in range(i + 1, p):
        j = U(q)
        cross, own = H[level, i, j], H[level, p, j]
        both = n * own + N[level, p, j] * h - 2.0 * N[level, i, j] * cross
        count += both > target * (h * own - cross * cross)
    return count


@kernel
def best_pair(H, N, level, first, gained, chosen, best):
    """The best two features from `first` on; where they beat best[0] with what was gained, it and `chosen` are changed."""
    p, found = H.shape[2], False
    for i in range(first, p - 1):
        if count_pairs(H, N, level, i, 2.0 * (best[0] - gained)) == 0:
            continue
        h, n = H[level, i, i], N[level, i, i]
        for j in range(i + 1, p):
            cross, own = H[level, i, j], H[level, p, j]
            rest = h * own - cross * cross
            value = gained + 0.5 * (n * own + N[level, p, j] * h - 2.0 * N[level, i, j] * cross) / rest
            if value > best[0]:
                best[0] = value
                chosen[level], chosen[level + 1] = i, j
                found = True
    return found


@kernel
def eliminate(H, N, level, i):
    """What feature i explains; the next level, changed in place, is features beyond i with i eliminated."""
    p = H.shape[2]
    h, n = H[level, i, i], N[level, i, i]
    for a in range(i + 1, p):
        ratio = H[level, i, a] / h
        cross = (N[level, i, a] - ratio * n) / h
        for q in range(a, p):
            b = U(q)
            H[level + 1, a, b] = H[level, a, b] - ratio * H[level, i, b]
            N[level + 1, a, b] = N[level, a, b] - cross * H[level, i, b] - ratio * N[level, i, b]
        H[level + 1, p, a], N[level + 1, p, a] = H[level + 1, a, a], N[level + 1, a, a]
    return 0.5 * n / h


@kernel
def enumerate_rows(H, N, size, place, gains, chosen, best, most):
    """Go on through the sets of `size` features, at least two, for `most` eliminations; returns whether all have been seen.

    Changed in place: `place`, of which entry 0 is the present level and entry 1 + level the feature there (-1 at first),
    `gains` of the levels, `chosen` the best set and best[0] what it explains. H and N have shape (size - 1, p + 1, p) and are
    given above the diagonal of level 0; row p is the diagonal.
    """
    p, level = H.shape[2], place[0]
    if size == 2:
        best_pair(H, N, 0, 0, 0.0, chosen, best)
        return True
    for _ in range(most):
        place[1 + level] += 1
        i = place[1 + level]
        while i > p - size + level:
            level -= 1
            if level < 0:
                return True
            place[1 + level] += 1
            i = place[1 + level]
        gains[level + 1] = gains[level] + eliminate(H, N, level, i)
        if level < size - 3:
            level += 1
            place[1 + level] = i
        elif best_pair(H, N, level + 1, i + 1, gains[level + 1], chosen, best):
            for above in range(level + 1):
                chosen[above] = place[1 + above]
    place[0] = level
    return False
