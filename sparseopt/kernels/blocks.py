"""Block coordinate descent: one group of coefficients after another, each minimised over all of its directions.

A model holds the coefficients of some groups side by side: those of group g stand at where[g] and
after it. The curvature of the model in that group has the eigenvalues values[firsts[g]:] and the
eigenvectors vectors[places[g]:], or none where places[g] < 0: it is diagonal then.
"""

from sparseopt._jit import kernel


@kernel
def descend_blocks(
    model, penalty, w, running, order, where, sizes, firsts, places, vectors, values, scratch, points, images, tol, part
):
    """Epochs over the groups in `order`, in place; each leaves a row in `points` and in `images`, those of w and `running`.

    They end where no move, times its curvature, exceeds `tol` or a part of the largest of the first
    epoch. Returns the largest moves of the first and of the last epoch, and the number of epochs.
    """
    first, largest = 0.0, 0.0
    for epoch in range(points.shape[0]):
        largest = 0.0
        for k in range(order.size):
            g = order[k]
            start, d = where[g], sizes[g]
            x, slope, step = scratch[0, :d], scratch[1, :d], scratch[2, :d]
            for i in range(d):
                x[i] = w[start + i]
            model.slope_into(running, start, slope)
            place = places[g]
            turn = vectors[place : place + d * d] if place >= 0 else vectors[:0]
            bends = values[firsts[g] : firsts[g] + d]
            penalty.block.minimise(penalty, g, slope, x, turn, bends, scratch[3:])
            bend, has_moved = 0.0, False
            for i in range(d):
                bend = max(bend, bends[i])
            for i in range(d):
                step[i] = x[i] - w[start + i]
                if step[i] != 0.0:
                    largest = max(largest, bend * abs(step[i]))
                    has_moved = True
                w[start + i] = x[i]
            if has_moved:
                model.move(running, start, step)
        for i in range(w.size):
            points[epoch, i] = w[i]
        for i in range(running.size):
            images[epoch, i] = running[i]
        first = largest if epoch == 0 else first
        if largest <= max(tol, part * first):
            return first, largest, epoch + 1
    return first, largest, points.shape[0]


@kernel
def value_blocks(penalty, w, order, where, sizes):
    """The penalty of the groups in `order`."""
    total = 0.0
    for k in range(order.size):
        g = order[k]
        x = w[where[g] : where[g] + sizes[g]]
        total += penalty.value_block(g, x)
    return total


@kernel
def distance_blocks(penalty, w, slope, order, where, sizes, firsts, values, scratch):
    """The largest move of a coefficient by a prox step on its group alone, times the curvature there."""
    largest = 0.0
    for k in range(order.size):
        g = order[k]
        start, d = where[g], sizes[g]
        v, new, bend = scratch[0, :d], scratch[1, :d], 0.0
        for i in range(d):
            bend = max(bend, values[firsts[g] + i])
        bend = bend if bend > 0.0 else 1.0  # any will do where the loss is flat
        for i in range(d):
            v[i] = w[start + i] - slope[start + i] / bend
        penalty.prox_block(g, v, 1.0 / bend, new)
        for i in range(d):
            largest = max(largest, bend * abs(new[i] - w[start + i]))
    return largest
