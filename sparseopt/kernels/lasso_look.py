"""What is proven of a point of a little lasso, in one call from the data.

It shares no code with the kernels of solvers; `Certificate.verify` and `certify` say the same in numpy.
"""

import math

import numpy as np

from sparseopt._jit import kernel

# Unsigned indices spare numba the test for negative ones.
U = np.uint64


@kernel
def look_at_lasso(values, means, target, alpha, w, at_zero, rounding, rest):
    """Objective, lower bound and distance to stationarity of w under alpha |w|, samples having one weight.

    The columns of X are those of `values` less their `means`, and `at_zero` is half the mean of the squares of the target;
    `rest` gets what is left of the target, less the target. As `examine_lasso` has it, the parts of the pull being
    no larger than the lengths of the two allow.
    """
    n = U(target.size)
    share, squares, pull = 1.0 / target.size, 0.0, 0.0
    for i in range(n):
        rest[i] = -target[i]
    for j in range(U(w.size)):
        if w[j] != 0.0:
            for i in range(n):
                rest[i] += w[j] * (values[i, j] - means[j])
    for i in range(n):
        squares += rest[i] * rest[i]
        pull += rest[i] * target[i]
    squares *= share
    pull *= share
    steepest, penalty, distance = alpha, 0.0, 0.0
    for j in range(U(w.size)):
        slope = 0.0
        for i in range(n):
            slope += (values[i, j] - means[j]) * rest[i]
        slope *= share
        penalty += alpha * abs(w[j])
        steepest = abs(slope) if abs(slope) > steepest else steepest
        # of minus the slope to [-alpha, alpha], or to alpha times the sign
        off = abs(slope) - alpha if w[j] == 0.0 else abs(slope + (alpha if w[j] > 0.0 else -alpha))
        distance = off if off > distance else distance
    scale = alpha / steepest
    if squares > 0.0:
        best = -pull / squares
        scale = 0.0 if best < 0.0 else (best if best < scale else scale)
    curved = 0.5 * scale * scale * squares
    size = curved + scale * math.sqrt(2.0 * squares * at_zero)
    return 0.5 * squares + penalty, -curved - scale * pull - rounding * size, distance
