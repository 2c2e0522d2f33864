"""Ways out of a minimum of a quadratic model with a concave penalty, by coordinate descent on its Gram matrix.

`inverse` holds 1 / G_jj, and zero for a coordinate that stays where it is. `kept` has two rows, for the lowest point
that is known and its slope.
"""

import numpy as np

from sparseopt._jit import kernel
from sparseopt.kernels.gram import height_at

# Unsigned indices spare numba the test for negative ones.
U = np.uint64


def settle(penalty, gram, inverse, features, w, slope, epochs, tol):
    """Epochs from w, in place, until no move reaches `tol`; returns their number."""
    for k in range(epochs):
        largest = 0.0
        for q in range(w.size):
            j = U(q)
            step = inverse[j]
            if step == 0.0:
                continue
            move = penalty.prox_at(features[j], w[j] - step * slope[j], step) - w[j]
            if move != 0.0:
                w[j] += move
                for i in range(w.size):
                    slope[U(i)] += move * gram[j, U(i)]
                largest = max(largest, abs(move) / step)
        if largest <= tol:
            return k + 1
    return epochs


def keep(kept, w, slope):
    """w and its slope into `kept`, in place."""
    for i in range(w.size):
        kept[0, U(i)], kept[1, U(i)] = w[U(i)], slope[U(i)]


def restore(kept, w, slope):
    """`kept` into w and its slope, in place."""
    for i in range(w.size):
        w[U(i)], slope[U(i)] = kept[0, U(i)], kept[1, U(i)]


@kernel
def settle_gram(penalty, gram, inverse, features, w, slope, epochs, tol):
    """`settle` w, in place; returns epochs."""
    return settle(penalty, gram, inverse, features, w, slope, epochs, tol)


@kernel
def shake(first, second, penalty, gram, inverse, features, linear, w, slope, kept, lowest, epochs, rough, fine):
    """Settle w, in place, under one penalty after another, and under the last finely; what is not lower than `lowest` is undone.

    Returns the height that was reached, and epochs.
    """
    total = settle(first, gram, inverse, features, w, slope, epochs, rough)
    total += settle(second, gram, inverse, features, w, slope, epochs, rough)
    total += settle(penalty, gram, inverse, features, w, slope, 2 * epochs, fine)
    reached = height_at(penalty, features, linear, w, slope)
    if reached < lowest:
        keep(kept, w, slope)
    else:
        restore(kept, w, slope)
    return reached, total


@kernel
def kick(penalty, gram, inverse, features, linear, w, slope, kept, first, most, fall, epochs, rough, fine, patience):
    """Put coordinates of w to zero one by one, in place, from `first` on; each is held there while the rest settles, then all settle.

    A point is kept where it is lower by a part `fall`. Ends after `most` kicks, or `patience` in a row that have led to
    none; returns the coordinate that is next, the number of kicks, that of the last in a row that have missed, and epochs.
    """
    lowest = height_at(penalty, features, linear, w, slope)
    keep(kept, w, slope)
    place, kicks, misses, total, idle = first, 0, 0, 0, 0
    while kicks < most and misses < patience and idle < w.size:
        j = U(place)
        place = place + 1 if place + 1 < w.size else 0
        old, step = w[j], inverse[j]
        idle += 1
        if old == 0.0:
            continue
        for i in range(w.size):
            slope[U(i)] -= old * gram[j, U(i)]
        w[j], inverse[j] = 0.0, 0.0
        total += settle(penalty, gram, inverse, features, w, slope, epochs, rough)
        inverse[j] = step
        total += settle(penalty, gram, inverse, features, w, slope, 2 * epochs, fine)
        reached = height_at(penalty, features, linear, w, slope)
        kicks += 1
        if reached < lowest - fall * abs(lowest):
            lowest, misses, idle = reached, 0, 0
            keep(kept, w, slope)
        else:
            misses += 1
            restore(kept, w, slope)
    return place, kicks, misses, total
