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
    x, slope = scratch[0], scratch[1]
    begin, largest = 0.0, 0.0
    for epoch in range(points.shape[0]):
        largest = 0.0
        for k in range(order.size):
            g = order[k]
            start, d, first = where[g], sizes[g], firsts[g]
            for i in range(d):
                x[i] = w[start + i]
            model.slope_into(running, start, d, slope)
            penalty.block.minimise(penalty, g, d, slope, x, vectors, places[g], values, first, scratch)
            bend, move = 0.0, 0.0
            for i in range(d):
                bend = max(bend, values[first + i])
                step = x[i] - w[start + i]
                move = max(move, abs(step))
                w[start + i] = x[i]
                x[i] = step
            largest = max(largest, bend * move)
            if move > 0.0:
                model.move(running, start, d, x)
        for i in range(w.size):
            points[epoch, i] = w[i]
        for i in range(running.size):
            images[epoch, i] = running[i]
        begin = largest if epoch == 0 else begin
        if largest <= max(tol, part * begin):
            return begin, largest, epoch + 1
    return begin, largest, points.shape[0]
