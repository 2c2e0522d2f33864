"""Descent on a Gram matrix under the convex envelope of a ridge that is paid only by features that are in.

A feature with coefficient w and share z of being in costs price z + ridge w**2 / (2 z), its perspective. With
the best share, min(|w| / reach, 1) where reach = sqrt(2 price / ridge), that is the reverse Huber penalty: it
rises by sqrt(2 price ridge) |w| up to reach and is price + ridge w**2 / 2 beyond. Where a bound of w is less than
reach, the share is |w| over the bound. The model is w'Gw / 2 - pull.w with these penalties; `force` = pull - Gw
is kept up to date.
"""

import math

from sparseopt._jit import kernel
from sparseopt.kernels.gram import U

# Factors by which a price grows or falls while it is bracketed on one side only.
_NARROW, _WIDE = 1.1, 8.0


def reach_of(price, ridge):
    """Coefficient from which a feature is wholly in."""
    if price == 0.0:
        return 0.0
    return math.sqrt(2.0 * price / ridge) if ridge > 0.0 else math.inf


def threshold_of(price, ridge, reach, bound):
    """Slope of the penalty at zero."""
    if reach <= bound:
        return ridge * reach
    return price / bound + ridge * bound / 2.0


def nearest(pull, bend, is_in, price, ridge, l1, lower, upper):
    """Minimiser of bend w**2 / 2 - pull w and the cost of one feature."""
    size = abs(pull) - l1
    if is_in:
        new = math.copysign(size / (bend + ridge), pull) if size > 0.0 else 0.0
        return min(max(new, lower), upper)
    bound = upper if pull > 0.0 else -lower
    reach = reach_of(price, ridge)
    least = threshold_of(price, ridge, reach, bound)
    if not (size > least and bound > 0.0):
        return 0.0
    new = (size - least) / bend if bend > 0.0 else math.inf
    if new >= reach:
        new = size / (bend + ridge)
    return math.copysign(min(new, bound), pull)


def share_of(w, price, ridge, lower, upper):
    """Share of a free feature that its coefficient needs."""
    if w == 0.0:
        return 0.0
    bound = upper if w > 0.0 else -lower
    limit = min(reach_of(price, ridge), bound)
    return min(abs(w) / limit, 1.0) if limit > 0.0 else 1.0


def sweep_shares(gram, w, force, is_in, lower, upper, price, ridge, l1):
    """One epoch, in place; returns what it takes off the model, about."""
    fall = 0.0
    for q in range(w.size):
        j = U(q)
        bend, old = gram[j, j], w[j]
        new = nearest(force[j] + bend * old, bend, is_in[j], price, ridge, l1, lower[j], upper[j])
        step = new - old
        if step != 0.0:
            w[j] = new
            for i in range(w.size):
                force[U(i)] -= step * gram[j, U(i)]
            fall += bend * step * step
    return fall


@kernel
def descend_shares(gram, w, force, is_in, lower, upper, room, prices, ridge, l1, epochs, tol):
    """Descend in w, force and the price prices[0] >= prices[1], in place, until the shares of free features sum to `room`.

    Each price is descended at until an epoch takes off no more than tol. Returns epochs made.
    """
    low, high, made = prices[1], math.inf, 0
    while made < epochs:
        fall = math.inf
        while fall > tol and made < epochs:
            fall = sweep_shares(gram, w, force, is_in, lower, upper, prices[0], ridge, l1)
            made += 1
        total = 0.0
        for j in range(w.size):
            if not is_in[j]:
                total += share_of(w[j], prices[0], ridge, lower[j], upper[j])
        if abs(total - room) <= 0.02 * room or (total < room and prices[0] <= prices[1]):
            break
        low, high = (prices[0], high) if total > room else (low, prices[0])
        if high < math.inf and high - low <= 1e-3 * high:
            break
        guess = prices[0] * min(max((total / room) ** 2, 1.0 / _WIDE), _WIDE)
        if low < guess < high:
            prices[0] = guess
        elif high < math.inf:
            prices[0] = math.sqrt(low * high) if low > 0.0 else high / _WIDE
        else:
            prices[0] = _NARROW * low
    return made
