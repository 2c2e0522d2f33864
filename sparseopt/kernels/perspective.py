"""The perspective relaxation of the choice of features, on a quadratic.

A feature costs price when it is in, and then w**2 * curve / 2 + l1 |w| with lower <= w <= upper. The largest
convex function below that, 0 at w = 0, is linear up to a knot and follows the curve beyond (for the ridge alone
the reverse Huber function: Owen, 2007; Pilanci et al., 2015). Its conjugate is max(gain(t) - price, 0) with

    gain(t) = max over lower <= w <= upper of t w - curve w**2 / 2 - l1 |w|

so that any w whatever, with the pull t = q - G w it leaves, proves the lower bound

    constant - w'Gw / 2 - sum over features that are in (gain - price) - (sum of the largest positive gain - price)
"""

import numpy as np

from sparseopt._jit import kernel

# Unsigned indices spare numba the test for negative ones.
U = np.uint64


def held_minimum(force, bend, limit):
    """The minimiser of bend w**2 / 2 - force w for 0 <= w <= limit."""
    if not force > 0.0:
        return 0.0
    return force / bend if bend * limit > force else limit


def best_response(t, curve, l1, lower, upper):
    """The w that attains the gain of a pull t."""
    force = abs(t) - l1
    limit = upper if t > 0.0 else -lower
    size = held_minimum(force, curve, limit) if limit > 0.0 else 0.0
    return min(max(size if t > 0.0 else -size, lower), upper)


def gain(t, curve, l1, lower, upper):
    """What a feature gains at most from a pull t; it loses where its bounds leave out zero."""
    return gain_at(best_response(t, curve, l1, lower, upper), t, curve, l1)


def gain_at(w, t, curve, l1):
    """What a feature gains from a pull t at w."""
    if abs(w) == np.inf:
        return np.inf
    return t * w - l1 * abs(w) - 0.5 * curve * w * w


def knot(price, curve, limit):
    """Where the linear part of the relaxed price ends, on a side that ends at `limit`."""
    if not price > 0.0:
        return 0.0
    if curve * limit * limit <= 2.0 * price:
        return limit
    return (2.0 * price / curve) ** 0.5


def relaxed_minimum(pull, bend, price, curve, l1, limit):
    """The size of the minimiser of bend w**2 / 2 - pull w + the relaxed price, on one side of zero."""
    force = pull - l1
    if not force > 0.0 or limit <= 0.0:
        return 0.0
    end = knot(price, curve, limit)
    if end > 0.0:
        steepness = price / end + 0.5 * curve * end
        if force <= steepness:
            return 0.0
        if bend * end > force - steepness:
            return (force - steepness) / bend
    return held_minimum(force, bend + curve, limit)


def descend_relaxed(gram, w, pull, bend, curve, l1, lower, upper, status, price, most, tol):
    """Coordinate descent on w and the pull q - gram w, in place, until an epoch gains less than `tol`; returns epochs and steps."""
    steps = 0
    for epoch in range(most):
        decrease = 0.0
        for q in range(w.size):
            j = U(q)
            old = w[j]
            if status[j] == -1:
                continue
            t = pull[j] + bend[j] * old
            force = abs(t) - l1
            if old == 0.0 and status[j] == 0 and (force <= 0.0 or force * force <= 2.0 * price * curve[j]):
                continue
            limit = upper[j] if t > 0.0 else -lower[j]
            if status[j] == 1:
                new = held_minimum(force, bend[j] + curve[j], limit) if limit > 0.0 else 0.0
            else:
                new = relaxed_minimum(abs(t), bend[j], price, curve[j], l1, limit)
            new = min(max(new if t > 0.0 else -new, lower[j]), upper[j])
            step = new - old
            if step != 0.0:
                w[j] = new
                steps += 1
                for i in range(w.size):
                    pull[U(i)] -= step * gram[j, U(i)]
                decrease += (bend[j] + curve[j]) * step * step
        if decrease <= tol:
            return epoch + 1, steps
    return most, steps


def priced_costs(w, curve, l1, lower, upper, status, price, alpha, scale):
    """What features cost at w, and the parts by which they are in: those of the price times `scale`, each for alpha.

    With alpha = price and a scale of one that is the sum of the relaxed prices.
    """
    cost, total = 0.0, 0.0
    for j in range(w.size):
        size, share = abs(w[j]), 1.0
        if status[j] != 1:
            if size == 0.0:
                continue
            end = knot(price, curve[j], upper[j] if w[j] > 0.0 else -lower[j])
            share = min(scale * (size / end if size < end else 1.0), 1.0)
        cost += alpha * share + l1 * size + 0.5 * curve[j] * size * (size / share)
        total += share
    return cost, total


descend_perspective, scaled_costs = kernel(descend_relaxed), kernel(priced_costs)


def relaxed_costs(w, curve, l1, lower, upper, status, price):
    """Sum of the relaxed prices at w, and of the parts by which features are in."""
    return scaled_costs(w, curve, l1, lower, upper, status, price, price, 1.0)


@kernel
def subtract_rows(gram, features, w, pull):
    """pull -= gram w, in place, for a w that is zero outside of `features`."""
    # four rows for each time that the pull is read and written
    fours = features.size - features.size % 4
    for q in range(0, fours, 4):
        a, b, c, d = U(features[q]), U(features[q + 1]), U(features[q + 2]), U(features[q + 3])
        wa, wb, wc, wd = w[q], w[q + 1], w[q + 2], w[q + 3]
        for i in range(pull.size):
            j = U(i)
            pull[j] -= wa * gram[a, j] + wb * gram[b, j] + wc * gram[c, j] + wd * gram[d, j]
    for q in range(fours, features.size):
        a, wa = U(features[q]), w[q]
        for i in range(pull.size):
            pull[U(i)] -= wa * gram[a, U(i)]


def sift_down(heap, size):
    """Restore the order of a heap with its least entry first, after that was replaced."""
    at, value = 0, heap[0]
    while True:
        child = 2 * at + 1
        if child >= size:
            break
        if child + 1 < size and heap[U(child + 1)] < heap[U(child)]:
            child += 1
        if heap[U(child)] >= value:
            break
        heap[U(at)] = heap[U(child)]
        at = child
    heap[U(at)] = value


@kernel
def pulls_of(design, features, u, out):
    """x_j . u for some columns, into `out`."""
    for q in range(features.size):
        out[U(q)] = design.pull(features[q], u)


def largest_profit(pull, doubt, curve, l1, lower, upper, alpha):
    """What a feature gains at most, beyond its price, from a pull that is known up to `doubt`."""
    profit = gain(pull + doubt, curve, l1, lower, upper)
    return max(profit, gain(pull - doubt, curve, l1, lower, upper)) - alpha


@kernel
def doubtful_features(pull, distance, sizes, status, curve, l1, level, found):
    """Into `found`, features that may gain more than `level` as far as is known; returns their number.

    Pulls were those at another point, `distance` away in the fitted values.
    """
    count = 0
    for q in range(pull.size):
        j = U(q)
        force = abs(pull[j]) + distance * sizes[j] - l1
        if force > 0.0 and force * force > 2.0 * level * curve[j] and status[j] != -1:
            found[U(count)] = q
            count += 1
    return count


def profits_of(known, pull, sizes, status, curve, l1, lower, upper, alpha, error, doubt, level, heap, gains):
    """Profits of known features into `gains`, the largest ones of free features into `heap`; returns what these take off.

    Also returned are the rounding of that, the least profit that was chosen, and the next one.

    All but one of the places of the heap are what may still come in. Pulls have an error of error * sizes_j. Where
    they are known up to doubt * sizes_j only, profits are what they are at most. No other feature has a profit beyond `level`.
    """
    total, rounding, count = 0.0, 0.0, heap.size
    for q in range(count):
        heap[U(q)] = level
    for q in range(known.size):
        j = U(known[q])
        if status[j] == -1:
            continue
        w = best_response(pull[j], curve[j], l1, lower[j], upper[j])
        profit = gain_at(w, pull[j], curve[j], l1) - alpha
        if doubt > 0.0:
            profit = largest_profit(pull[j], doubt * sizes[j], curve[j], l1, lower[j], upper[j], alpha)
        gains[j] = profit
        if status[j] == 1:
            total += profit
        elif profit > heap[0]:
            heap[0] = profit
            sift_down(heap, count)
        else:
            continue
        rounding += abs(w) * error * sizes[j]
    last = heap[0]
    if count == 1:
        return total, rounding, 0.0, last
    # the least of the heap is the first that has no room; below it stand its two successors
    least = heap[1]
    if count > 2 and heap[2] < least:
        least = heap[2]
    for q in range(1, count):
        total += heap[U(q)]
    return total, rounding, least, last


def fix_known(known, gains, status, bound, least, last, threshold):
    """Fix, in `status`, known features whose other choice has a bound at the threshold; returns how many come in and go out."""
    kept, removed = 0, 0
    for q in range(known.size):
        j = U(known[q])
        if status[j] != 0:
            continue
        if gains[j] <= least and bound + least - gains[j] >= threshold:
            status[j] = -1
            removed += 1
        elif gains[j] >= least and gains[j] > 0.0 and bound + gains[j] - last >= threshold:
            status[j] = 1
            kept += 1
    return kept, removed


perspective_bound, fix_features = kernel(profits_of), kernel(fix_known)


@kernel
def remove_features(pull, distance, sizes, status, is_known, curve, l1, lower, upper, alpha, most):
    """Fix out, in `status`, the features not known exactly whose profit is at most `most`; returns how many."""
    removed = 0
    for q in range(pull.size):
        j = U(q)
        if is_known[j] or status[j] != 0:
            continue
        if largest_profit(pull[j], distance * sizes[j], curve[j], l1, lower[j], upper[j], alpha) <= most:
            status[j] = -1
            removed += 1
    return removed
