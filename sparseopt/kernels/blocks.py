"""Block coordinate descent: one group of coefficients after another, each minimised over all of its directions."""

import numpy as np

from sparseopt._jit import kernel

# Unsigned indices spare numba the test for negative ones.
U = np.uint64


@kernel
def descend_blocks(loss, penalty, w, running, order, places, vectors, values, scratch, epochs):
    """Epochs over the groups in `order`, in place; returns the largest move of the last, times its curvature.

    The curvature of the loss in group g has the eigenvalues values[start(g):start(g + 1)] and the
    eigenvectors vectors[places[g]:], or none where places[g] < 0.
    """
    largest = 0.0
    for _ in range(epochs):
        largest = 0.0
        for k in range(order.size):
            g = order[k]
            first, last = penalty.groups.start(g), penalty.groups.start(g + 1)
            d = last - first
            x, slope = scratch[0, :d], scratch[1, :d]
            for i in range(d):
                j = U(penalty.groups.member(first + i))
                x[i] = w[j]
                slope[i] = loss.coordinate_slope(running, j)
            place = places[g]
            turn = vectors[place : place + d * d] if place >= 0 else vectors[:0]
            bends = values[first:last]
            penalty.block.minimise(penalty, g, slope, x, turn, bends, scratch[2:])
            bend = 0.0
            for i in range(d):
                bend = max(bend, bends[i])
            has_moved = False
            for i in range(d):
                j = U(penalty.groups.member(first + i))
                new = w.dtype.type(x[i])
                if new != w[j]:
                    largest = max(largest, bend * abs(new - w[j]))
                    loss.move(running, j, new - w[j])
                    w[j] = new
                    has_moved = True
            if has_moved:
                loss.settle(running)
    return largest
