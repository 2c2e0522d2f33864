"""Bounding a node of a branch and bound under a quadratic at w, and fixing what that decides (see `perspective`).

Pulls are kept up to date by descent, and every step rounds them once more: bounds allow for as many roundings as there were.
Where the matrix that descent works with is known up to a relative error only, so are the pulls: bounds allow for the most that
this makes.
"""

import numpy as np

from sparseopt._jit import kernel
from sparseopt.kernels.perspective import fix_known, gain, profits_of

U = np.uint64
# Places in the vector of numbers: constant of the quadratic and its root of twice that, relative rounding of pulls, price in
# the problem, L1 norm; of the node the price and the threshold; of w the bound, the objective without features, what features
# take off at the price, the least profit that is in, the relative error of G, and what the bound is less for that.
CONSTANT, LENGTH, ROUNDING, ALPHA, L1, PRICE, THRESHOLD, BOUND, BASE, TAKEN, LEAST, ROUGH, SLACK = range(13)
# Places in the vector of whole numbers: features that may still come in, and free ones; those that came in, went out, and were
# dropped from w; free ones worth the price, and those that are to come into use; steps since the pulls were made.
ROOM, FREE, KEPT, REMOVED, DROPPED, WORTH, ENTERING, STEPS = range(8)
# Features come into use that are worth this part of what the price asks for: mostly they would come soon.
_CLOSE = 0.8
# What a step may add to the relative error of a pull: it rounds a product and a sum.
_EPS = 2.3e-16


def taken_at(known, gains, pull, curve, l1, lower, upper, status, alpha, extra, is_rough):
    """What known features take off at a price `extra` beyond that of the problem, as far as their pulls are right."""
    total = 0.0
    for q in range(known.size):
        j = U(known[q])
        profit = gains[j]
        if status[j] == 1 or (status[j] == 0 and profit > extra):
            if is_rough:
                # what they gain at most would count as unknown
                profit = gain(pull[j], curve[j], l1, lower[j], upper[j]) - alpha
            if status[j] == 1 or profit > extra:
                total += profit - extra
    return total


@kernel
def judge_node(
    known, used, w, pull, linear, sizes, curve, lower, upper, status, level, heap, gains, entering, numbers, counts
):  # fmt: skip
    """Bound a node at w and, below the threshold, fix features, drop what is out from w, and find what comes into use.

    `used` are the features that are not zero. No feature that is not known has a profit beyond `level`.
    """
    alpha, extra, constant = numbers[ALPHA], numbers[PRICE] - numbers[ALPHA], numbers[CONSTANT]
    weight, image = 0.0, 0.0
    for q in range(used.size):
        j = U(used[q])
        weight += abs(w[j]) * sizes[j]
        image += w[j] * (linear[j] - pull[j])
    room, free, error = (
        counts[ROOM],
        counts[FREE],
        (numbers[ROUNDING] + _EPS * counts[STEPS]) * (numbers[LENGTH] + weight),
    )
    # of (G - its copy) w
    doubt = numbers[ROUGH] * weight
    size = min(room, free) + 1
    total, rounding, least, last = profits_of(
        known, pull, sizes, status, curve, numbers[L1], lower, upper, alpha, error, doubt, level, heap[:size], gains
    )
    base = constant - 0.5 * image
    # nearly: coefficients that gain most, times the doubt of their pulls
    numbers[SLACK] = doubt * (0.5 * weight + rounding / error) if doubt > 0.0 else 0.0
    # gains are what is left of larger ones at the price
    bound = base - total - rounding - (error + 0.5 * doubt) * weight
    bound -= 1e-15 * (constant + abs(total) + alpha * heap.size)
    numbers[BOUND], numbers[BASE], numbers[LEAST], numbers[TAKEN] = bound, base, least, 0.0
    for place in range(KEPT, ENTERING + 1):
        counts[place] = 0
    if not bound < numbers[THRESHOLD]:
        return
    terms = (curve, numbers[L1], lower, upper, status, alpha, extra, doubt > 0.0)
    numbers[TAKEN] = taken_at(known, gains, pull, *terms)
    if room > 0 and free > 0:
        counts[KEPT], counts[REMOVED] = fix_known(known, gains, status, bound, least, last, numbers[THRESHOLD])
    for q in range(known.size):
        j = U(known[q])
        if status[j] == -1:
            if w[j] != 0.0:
                w[j] = 0.0
                counts[DROPPED] += 1
        elif status[j] == 0 and w[j] == 0.0 and gains[j] > _CLOSE * extra:
            entering[counts[ENTERING]] = known[q]
            counts[ENTERING] += 1
            counts[WORTH] += gains[j] - extra > 1e-9 * numbers[PRICE]
