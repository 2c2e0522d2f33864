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


def best_response(t, curve, l1, lower, upper):
    """The w that attains the gain of a pull t."""
    force = abs(t) - l1
    limit = upper if t > 0.0 else -lower
    if not force > 0.0 or limit <= 0.0:
        return 0.0
    size = limit
    if curve * limit > force:
        size = force / curve
    return size if t > 0.0 else -size


def gain(t, curve, l1, lower, upper):
    """What a feature gains at most from a pull t."""
    w = best_response(t, curve, l1, lower, upper)
    if w == 0.0:
        return 0.0
    return (abs(t) - l1) * abs(w) - 0.5 * curve * w * w


def knot(price, curve, limit):
    """Where the linear part of the relaxed price ends, on a side that ends at `limit`."""
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


def held_minimum(force, bend, limit):
    """The minimiser of bend w**2 / 2 - force w for 0 <= w <= limit."""
    if not force > 0.0:
        return 0.0
    return force / bend if bend * limit > force else limit


@kernel
def descend_perspective(gram, w, pull, bend, curve, l1, lower, upper, is_in, price, most, tol):
    """Coordinate descent on w and the pull q - gram w, in place, until an epoch gains less than `tol`; returns the epochs."""
    for epoch in range(most):
        decrease = 0.0
        for q in range(w.size):
            j = U(q)
            old = w[j]
            t = pull[j] + bend[j] * old
            limit = upper[j] if t > 0.0 else -lower[j]
            if is_in[j]:
                new = held_minimum(abs(t) - l1, bend[j] + curve[j], limit)
            else:
                new = relaxed_minimum(abs(t), bend[j], price, curve[j], l1, limit)
            if t < 0.0:
                new = -new
            step = new - old
            if step != 0.0:
                w[j] = new
                for i in range(w.size):
                    pull[U(i)] -= step * gram[j, U(i)]
                decrease += (bend[j] + curve[j]) * step * step
        if decrease <= tol:
            return epoch + 1
    return most


@kernel
def relaxed_costs(w, curve, l1, lower, upper, is_in, price):
    """Sum of the relaxed prices at w, and of the parts by which features are in."""
    cost, share = 0.0, 0.0
    for j in range(w.size):
        size = abs(w[j])
        end = 0.0
        if not is_in[j]:
            end = knot(price, curve[j], upper[j] if w[j] > 0.0 else -lower[j])
        cost += l1 * size
        if size >= end and (is_in[j] or size > 0.0):
            cost += price + 0.5 * curve[j] * size * size
            share += 1.0
        elif size > 0.0:
            cost += (price / end + 0.5 * curve[j] * end) * size
            share += size / end
    return cost, share


@kernel
def subtract_rows(gram, features, w, pull):
    """pull -= gram w, in place, for a w that is zero outside of `features`."""
    for q in range(features.size):
        j = U(features[q])
        x = w[q]
        for i in range(pull.size):
            pull[U(i)] -= x * gram[j, U(i)]


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
def perspective_bound(pull, status, curve, l1, lower, upper, alpha, sizes, error, room, heap, gains):
    """Gains into `gains`, the most profitable ones into `heap`; returns what they take off the bound, its rounding,
    and the least profit that was chosen and the next one.

    The pull of feature j is known up to error * sizes_j. `room` features may still come in.
    """
    total, rounding, count = 0.0, 0.0, room + 1
    for q in range(count):
        heap[U(q)] = 0.0
    for q in range(pull.size):
        j = U(q)
        if status[j] == -1:
            gains[j] = -np.inf
            continue
        profit = gain(pull[j], curve[j], l1, lower[j], upper[j]) - alpha
        gains[j] = profit
        if status[j] == 1:
            total += profit
        elif profit > heap[0]:
            heap[0] = profit
            sift_down(heap, count)
        else:
            continue
        rounding += abs(best_response(pull[j], curve[j], l1, lower[j], upper[j])) * error * sizes[j]
    last = heap[0]
    if room == 0:
        return total, rounding, 0.0, last
    # the least of the heap is the first that has no room; below it stand its two successors
    least = heap[1]
    if count > 2 and heap[2] < least:
        least = heap[2]
    for q in range(1, count):
        total += heap[U(q)]
    return total, rounding, least, last


@kernel
def fix_features(gains, status, bound, least, last, room, threshold):
    """Fix, in `status`, features whose other choice has a bound at the threshold; returns how many come in and go out."""
    kept, removed = 0, 0
    for q in range(status.size):
        j = U(q)
        if status[j] != 0:
            continue
        if room == 0 or (gains[j] <= least and bound + least - gains[j] >= threshold):
            status[j] = -1
            removed += 1
        elif gains[j] >= least and gains[j] > 0.0 and bound + gains[j] - last >= threshold:
            status[j] = 1
            kept += 1
    return kept, removed


@kernel
def next_features(gains, status, w, over, active):
    """Into `active`, features that are in, nonzero, or free with a profit beyond `over`; returns their number and that of new ones."""
    count, new = 0, 0
    for q in range(status.size):
        j = U(q)
        if status[j] == -1:
            continue
        is_new = status[j] == 0 and w[j] == 0.0
        if is_new and not gains[j] > over:
            continue
        active[U(count)] = q
        count += 1
        new += is_new
    return count, new
