"""Coordinate descent.

One move on coordinate j, with L_j the curvature of f there:

    w_j <- prox_{g_j / L_j}(w_j - slope_j / L_j)

A loss whose curvature has no bound gives an L_j to begin with and that of the move it leads to;
where the move bends more, L_j grows. So no move raises the objective.
"""

import numpy as np

from sparseopt._jit import kernel

# Unsigned indices spare numba the test for negative ones.
U = np.uint64


def descend_once(loss, penalty, w, running, curvatures, order):
    """One epoch over `order`, in place; returns the largest move times its curvature, and the nonzeros gained."""
    largest, one, gained = 0.0, w.dtype.type(1), 0
    for k in range(order.size):
        j = U(order[k])
        bend = curvatures[j]
        if bend == 0:
            continue
        old, slope = w[j], loss.coordinate_slope(running, j)
        bend = loss.coordinate_bend(running, j, bend)
        while True:
            new = w.dtype.type(penalty.prox_at(j, old - slope / bend, one / bend))
            needed = loss.move_bend(running, j, new - old, bend)
            if not needed > bend:
                break
            # far from the minimum the curvature of a move may be enormous, that of a shorter one is not
            bend = min(needed, 8 * bend)
        if new != old:
            gained += new != 0
            gained -= old != 0
            w[j] = new
            loss.move(running, j, new - old)
            largest = max(largest, bend * abs(new - old))
    loss.settle(running)
    return largest, gained


@kernel
def descend(loss, penalty, w, running, curvatures, order, active, max_epochs, tol):
    """Epochs from w, in place, until no move reaches `tol`; returns the last full one's largest move, epochs, visits.

    Between two full epochs, the nonzero coordinates alone are cycled (`active` holds them) while
    they still move by more than a tenth of what the full epoch moved.
    """
    largest, epochs, visits = 0.0, 0, 0
    count = 0
    for k in range(order.size):
        count += w[U(order[k])] != 0
    while epochs < max_epochs:
        largest, gained = descend_once(loss, penalty, w, running, curvatures, order)
        count += gained
        epochs += 1
        visits += order.size
        if largest <= tol:
            break
        if 4 * count > 3 * order.size:
            continue
        filled = 0
        for k in range(order.size):
            if w[U(order[k])] != 0:
                active[U(filled)] = order[k]
                filled += 1
        inner = largest
        while inner > 0.1 * largest and epochs < max_epochs:
            inner, gained = descend_once(loss, penalty, w, running, curvatures, active[:filled])
            count += gained
            epochs += 1
            visits += filled
    return largest, epochs, visits
