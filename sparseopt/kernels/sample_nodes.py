"""A round of work on a node of a branch and bound under a loss on samples: bound, fix, and the proximal Newton step.

With v_i the slopes of the weighted losses s_i phi at any fitted values, made to sum to zero with an intercept, and
t = -X'v, the bound is minus the conjugates at v, less what features take off (see `perspective`).

A step minimises the quadratic model of the loss on the *members*, the features that are in, nonzero, or were worth their
price, and finds on it the price at which as many are in as may be. The curvature of the samples may be that of an
earlier point; it is taken anew where steps bring the unknown part of the bound down slowly.

One kernel does all of that, so that a round is one call, and it knows no loss, so that it is compiled once.
"""

import numpy as np

from sparseopt._jit import kernel
from sparseopt.kernels.perspective import descend_relaxed, fix_known, priced_costs, profits_of

U = np.uint64
# Why a round ended: with a step, or before it: the node holds nothing better; it is to be branched on; nonzero features went
# out, so that the point has moved; the curvature is to be taken anew; some features are to become members.
STEP, CLOSED, KNOWN, MOVED, SLOW, JOIN = range(6)
# Places in the vector of numbers: bound at the last point, bound to reach, price, value of the relaxation less the bound, depth
# and nearness of models, price in the problem, L1 norm, least price, objective at zero; of the present point the height,
# the bound without features, the size of its terms, the norm of the slopes and their sum; of a step what the loss should gain,
# and the costs after it and before it, at the same price.
BOUND, THRESHOLD, PRICE, UNKNOWN, DEPTH, NEAR, ALPHA, L1, LEAST, ORIGIN, HEIGHT, BASE, SIZE, NORM, IMBALANCE, GAIN, COST, COST_BEFORE = range(18)  # fmt: skip
# Places in the vector of whole numbers: rounds so far, whether the bound is to be looked at and pulls are out of date, features
# that may be in and that are, live ones, members, whether there is an intercept, features that are to become members, whether the last look was at all features.
ROUNDS, LOOKS, STALE, MOST, INSIDE, LIVE, MEMBERS, CENTRED, JOINING, WHOLLY = range(10)
# Rows of the table of members: coefficients and those before a step, pulls and those before a step, curvatures, ridges, bounds,
# means under the curvature.
VALUES, BEFORE, PULLS, START, BENDS, CURVES, LOWER, UPPER, CENTRES = range(9)
# Relative error of sums in float64, with room to spare.
ROUNDING = 1e-14
# Rounds in a node; the curvature is taken anew where one leaves more than this part of what is unknown.
ROUNDS_AT_MOST, _PACE = 100, 0.6
# A node is branched on once the relaxation is known to this part of what is missing to close it, or exactly.
_KNOWN, EXACT = 0.3, 1e-10
# Prices tried on a model, its epochs for each, their multiplications, and prices so near to each other that shares jump between them.
_PRICES, _EPOCHS, _PRODUCTS, _JUMP = 15, 200, 40_000_000, 1.1
# So many features become members at once, at least.
_FEWEST = 32
# A share so near to none or all is one of them.
WHOLE = 1e-5


def pull_on(rows, mass, j):
    """Minus the slope of the loss in feature j."""
    total = 0.0
    for i in range(U(mass.size)):
        total += rows[j, i] * mass[i]
    return -total


def least_gain(gains, status, w, live, numbers, counts):
    """The gain from which on free features become members: not too many of them at once."""
    bar, most, held, count, largest = max(numbers[PRICE] - numbers[ALPHA], 0.0) * (1.0 + 1e-9), _FEWEST, 0, 0, 0.0
    for q in range(counts[LIVE]):
        j = live[q]
        if status[j] == 1 or w[j] != 0.0:
            held += 1
        elif gains[j] > bar:
            count += 1
            largest = max(largest, gains[j])
    most = max(most, held // 2)
    low, high = bar, largest
    for _ in range(12):
        if count <= most:
            break
        middle, above = 0.5 * (low + high), 0
        for q in range(counts[LIVE]):
            j = live[q]
            above += status[j] != 1 and w[j] == 0.0 and gains[j] > middle
        if above > most:
            low = middle
        else:
            high = bar = middle
            # few more would be none the better
            count = above if 2 * above >= most else count
    return bar


def find_members(w, gains, status, live, slots, joining, numbers, counts):
    """Features that are to be members and are not, in place; their number."""
    bar, count = least_gain(gains, status, w, live, numbers, counts), 0
    for q in range(counts[LIVE]):
        j = live[q]
        if slots[j] < 0 and (status[j] == 1 or w[j] != 0.0 or gains[j] > bar):
            joining[count] = j
            count += 1
    counts[JOINING] = count
    return count


def load(rows, raw, w, pull, status, curve, lower, upper, members, gram, table, states, numbers, counts):
    """What a step needs of the members, in their order, in place."""
    for a in range(counts[MEMBERS]):
        j = U(members[a])
        table[VALUES, a] = table[BEFORE, a] = w[j]
        t = pull[j]
        if status[j] == -1:
            t = 0.0
        elif counts[CENTRED]:
            # the intercept minimised out of the model
            t = numbers[IMBALANCE] * table[CENTRES, a] + pull_on(rows, raw, j)
        table[PULLS, a] = table[START, a] = t
        table[BENDS, a], table[CURVES, a] = gram[a, a], curve[j]
        table[LOWER, a], table[UPPER, a], states[a] = lower[j], upper[j], status[j]


def costs_at(row, table, states, numbers, counts, price, alpha, scale):
    """`priced_costs` of the members, at coefficients in a row of the table."""
    m = counts[MEMBERS]
    return priced_costs(
        table[row, :m], table[CURVES, :m], numbers[L1], table[LOWER, :m], table[UPPER, :m], states[:m], price, alpha, scale
    )  # fmt: skip


def is_known(is_whole, table, states, numbers, counts):
    """Whether the value of the relaxation is known well enough to branch; what is unknown, and whether that falls slowly."""
    price, room, scale, cost = numbers[PRICE], counts[MOST] - counts[INSIDE], 1.0, 0.0
    for alpha in (price, numbers[ALPHA]):
        cost, total = costs_at(VALUES, table, states, numbers, counts, price, alpha, scale)
        total -= counts[INSIDE]
        # at the price alone, more than what pays is not to be in
        scale = room / total if total > room or (price > numbers[LEAST] and total > 0.0) else 1.0
    value = numbers[HEIGHT] + cost
    unknown, enough, rough = value - numbers[BOUND], EXACT * abs(value), _KNOWN * abs(numbers[THRESHOLD] - value)
    if not is_whole:
        # before others have been looked at, nothing more is worth the while
        enough = max(enough, rough)
    for a in range(counts[MEMBERS]):
        if states[a] == 0 and table[VALUES, a] != 0.0:
            part = share_of(table[VALUES, a], table[CURVES, a], table[LOWER, a], table[UPPER, a], price)
            if min(part, 1.0 - part) > WHOLE:
                enough = max(enough, rough)
                break
    slow = unknown > _PACE * numbers[UNKNOWN]
    numbers[UNKNOWN] = unknown
    return unknown <= enough, slow


def share_of(w, curve, lower, upper, price):
    """The part by which a feature is in at a price."""
    end = upper if w > 0.0 else -lower
    if curve > 0.0:
        end = min(end, (2.0 * price / curve) ** 0.5)
    return min(abs(w) / end, 1.0) if end > 0.0 else 1.0


def settle_price(gram, table, states, numbers, counts):
    """Minimise the model, in place, at the price at which as many features are in as may be; returns what they cost."""
    m, least, room = counts[MEMBERS], numbers[LEAST], counts[MOST] - counts[INSIDE]
    tol = max(numbers[DEPTH] * numbers[UNKNOWN], 1e-18 * numbers[ORIGIN])
    tol = tol if tol < np.inf else 1e-4 * numbers[ORIGIN]
    low, high, is_last, cost = 0.0, np.inf, False, 0.0
    # a call cannot be interrupted
    epochs = max(1, min(_EPOCHS, _PRODUCTS // max(m * m, 1)))
    for trial in range(_PRICES + 1):
        price = numbers[PRICE]
        descend_relaxed(
            gram, table[VALUES, :m], table[PULLS, :m], table[BENDS, :m], table[CURVES, :m], numbers[L1],
            table[LOWER, :m], table[UPPER, :m], states[:m], price, epochs, tol,
        )  # fmt: skip
        cost, share = costs_at(VALUES, table, states, numbers, counts, price, price, 1.0)
        share -= counts[INSIDE]
        is_near = abs(share - room) <= numbers[NEAR] * room
        if is_last or room == 0 or is_near or (share < room and price <= least):
            break
        if share > room:
            low = price
        else:
            high = price
        # where shares are parts, they fall as the root of the price
        guess = price * min(max((share / room) ** 2, 0.125), 8.0)
        if not low < guess < high:
            guess = (low * high) ** 0.5 if low > 0.0 and high < np.inf else guess
        if trial == _PRICES - 1:
            # where shares jump, as they do where a model is nearly flat, too many are in rather than none
            if not (share < room and high <= _JUMP * low):
                break
            guess, is_last = low, True
        numbers[PRICE] = max(guess, least)
    return cost


def plan_step(rows, w, members, gram, table, states, image, numbers, counts):
    """The step of the members, in place of w, and what the fitted values change by; costs around it, and what should be gained."""
    numbers[COST], gain = settle_price(gram, table, states, numbers, counts), 0.0
    price = numbers[PRICE]
    numbers[COST_BEFORE] = costs_at(BEFORE, table, states, numbers, counts, price, price, 1.0)[0]
    for i in range(U(image.size)):
        image[i] = 0.0
    for a in range(counts[MEMBERS]):
        move = table[VALUES, a] - table[BEFORE, a]
        if move != 0.0:
            j = U(members[a])
            gain -= table[START, a] * move
            w[j] = table[VALUES, a]
            for i in range(U(image.size)):
                image[i] += move * rows[j, i]
    numbers[GAIN] = gain


def judge(known, norms, curve, lower, upper, status, pull, gains, heap, numbers, counts):
    """The bound at the present point, were there no other features than these; the least profit that it takes in and the next one."""
    room, free = counts[MOST] - counts[INSIDE], counts[LIVE] - counts[INSIDE]
    error, alpha = ROUNDING * numbers[NORM], numbers[ALPHA]
    total, rounding, least, last = profits_of(
        known, pull, norms, status, curve, numbers[L1], lower, upper, alpha, error, 0.0, 0.0,
        heap[: min(room, free) + 1], gains,
    )  # fmt: skip
    bound = numbers[BASE] - total - rounding - ROUNDING * (numbers[SIZE] + abs(total))
    # a bound that is no number is none
    numbers[BOUND] = bound if bound > -np.inf else -np.inf
    if numbers[PRICE] < 0.0:
        # at the root: the gain of the next feature after the best ones
        numbers[PRICE] = max(numbers[LEAST], alpha + last if free > room else 0.0)
    return least, last


def fix(gains, status, w, live, least, last, numbers, counts):
    """Fix what the bound decides and drop what is out, in place; how many came in, and how many nonzero ones went out."""
    dropped, count, known = 0, 0, live[: counts[LIVE]]
    kept = fix_known(known, gains, status, numbers[BOUND], least, last, numbers[THRESHOLD])[0]
    for q in range(known.size):
        j = known[q]
        if status[j] == -1:
            dropped += w[j] != 0.0
            w[j] = 0.0
        else:
            live[count] = j
            count += 1
    counts[LIVE] = count
    counts[INSIDE] += kept
    return kept, dropped


def decide(gains, status, w, live, least, last, numbers, counts):
    """Close the node or fix what its bound decides, in place; why the round ends, if it does, and how many came in."""
    counts[STALE] = 0
    if numbers[BOUND] >= numbers[THRESHOLD]:
        return CLOSED, 0
    kept, dropped = fix(gains, status, w, live, least, last, numbers, counts)
    if counts[INSIDE] > counts[MOST]:
        # so many are needed that no support is left
        numbers[BOUND] = numbers[THRESHOLD]
        return CLOSED, 0
    return MOVED if dropped else STEP, kept


def pull_all(rows, mass, known, pull):
    """Pulls of some features, in place, four for each time that the slopes are read."""
    n, fours = U(mass.size), known.size - known.size % 4
    for q in range(0, fours, 4):
        a, b, c, d = U(known[q]), U(known[q + 1]), U(known[q + 2]), U(known[q + 3])
        ta, tb, tc, td = 0.0, 0.0, 0.0, 0.0
        for i in range(n):
            ta += rows[a, i] * mass[i]
            tb += rows[b, i] * mass[i]
            tc += rows[c, i] * mass[i]
            td += rows[d, i] * mass[i]
        pull[a], pull[b], pull[c], pull[d] = -ta, -tb, -tc, -td
    for q in range(fours, known.size):
        pull[known[q]] = pull_on(rows, mass, known[q])


@kernel
def scale_columns(rows, features, scales, bends, root, total, means, scaled):
    """Columns of features, by the root of the curvature, in float32, in place; with a `total` of it they are centred, with these means."""
    for a in range(features.size):
        j, mean = U(features[a]), 0.0
        if total > 0.0:
            for i in range(U(root.size)):
                mean += rows[j, i] * bends[i]
            mean /= total
        means[a] = mean
        for i in range(U(root.size)):
            scaled[a, i] = np.float32((rows[j, i] - mean) * scales[j] * root[i])


@kernel
def work_on_node(
    rows, norms, curve, lower, upper, status, w, mass, raw, pull, gains, live, heap, slots, members, gram, table, states,
    joining, image, numbers, counts,
):  # fmt: skip
    """A round of work on a node, all in place; returns why it ended.

    While pulls are out of date, members alone are looked at first: no bound is larger than with these, so that another
    step is due where they are not known well enough. The others are looked at when they are.
    """
    counts[ROUNDS] += counts[LOOKS]
    begin, kept, is_slow = 1 if not counts[STALE] or counts[MEMBERS] == 0 else 0, 0, False
    # first the members, then all, and the last time round the step
    for turn in range(begin if counts[LOOKS] else 2, 3):
        is_whole = turn == 1
        if turn < 2:
            known = live[: counts[LIVE]] if is_whole else members[: counts[MEMBERS]]
            if counts[STALE]:
                pull_all(rows, mass, known, pull)
            least, last = judge(known, norms, curve, lower, upper, status, pull, gains, heap, numbers, counts)
            counts[WHOLLY] = is_whole
            if is_whole:
                reason, kept = decide(gains, status, w, live, least, last, numbers, counts)
                if reason != STEP:
                    return reason
            if kept or numbers[BOUND] >= numbers[THRESHOLD]:
                continue
        elif counts[LOOKS] and counts[WHOLLY] and find_members(w, gains, status, live, slots, joining, numbers, counts):
            return JOIN
        load(rows, raw, w, pull, status, curve, lower, upper, members, gram, table, states, numbers, counts)
        if turn < 2:
            is_near, is_flat = is_known(is_whole, table, states, numbers, counts)
            is_near = is_near or counts[ROUNDS] >= ROUNDS_AT_MOST
            if is_near and is_whole:
                return KNOWN
            # what others take off comes on top of what steps leave
            is_slow = not is_near and is_flat and counts[MEMBERS] > 0 and (begin == 1 or not is_whole)
            if is_slow or not (is_near or is_whole):
                break
    if is_slow:
        return SLOW
    plan_step(rows, w, members, gram, table, states, image, numbers, counts)
    return STEP
