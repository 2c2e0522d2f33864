"""The iterations of an interior point method, whatever system gives its directions.

`system` has the methods of `NewtonSystem`, products with P, A and A', a factorisation for two diagonals, and a
solution, by address (linked.py), so that these loops are compiled once for all systems. `sides` holds the inequalities as `conditions` wants them. The method lives in the
rows of V, vectors of all conditions, of W, vectors of coefficients, and of R, vectors of rows, and in the
numbers S; the names of all of them stand below. Each call works until something is to be looked at in Python.
"""

import math

from sparseopt._jit import brief_kernel
from sparseopt.kernels.conditions import (
    EQUAL,
    LOWER,
    UPPER,
    advance,
    condense,
    correct,
    diagonals,
    expand,
    first_side,
    is_finite,
    largest,
    missing,
    net,
    parts,
    predict,
    residuals,
    springs,
)

# Rows of V; slacks, their changes and weights are in the last part of theirs.
POINT, SLACKS, BEST, BEST_SLACKS, MISSING, RIGHT, FOUND, BETTER, ERROR, CHANGES, WEIGHT, VECTORS = range(12)
# Rows of W and of R: D and E are the diagonals, `BOUNDS` and `ROWS` net multipliers.
CURVED, PULLED, BOUNDS, DIAGONAL, DW, SPACE_W, WIDE = range(7)
IMAGE, ROWS, LOOSE, DNU, SPACE_R, TALL = range(6)
# Numbers: proximal weights and their floor, what is added after a factorisation failed, refinements that ended
# far from exact; residuals of the point; the residual and violation a tenth below which counts as progress and
# the iteration that made the last; the residual of the best point; the shorter of the last steps; the guess of
# an active set, for how many iterations it stood, and the last that was returned; what the proximal weight of
# coefficients does not fall below where P has a little negative curvature, to be more than that; what the last
# unrefined solution left of its system, relative to it; how far from a proof the last ray was that was returned;
# what the floor does not fall below.
(MU, RHO, DELTA, FLOOR, EXTRA, POOR, VIOLATION, STATIONARITY, GAP, MARK, LEAST_VIOLATION, MARKED, LEAST, STRIDE,
 ITERATIONS, GUESS, STOOD, POLISHED, LEAST_RHO, ROUGH, DRIFT, FINEST, NUMBERS) = range(23)  # fmt: skip
# Why a call ended.
GOING, SOLVED, LATE, POLISH, RAY, HARDER, BROKEN = range(7)

# Iterations without a tenth less residual after which nothing more is expected: near a solution where the mean
# product of slacks and multipliers is so small that only rounding is left, and elsewhere.
_PATIENCE, _EXHAUSTED, _LONG_PATIENCE = 12, 1e-10, 60
# The same after which regularisation falls below its floor.
_HURRY = 4
# Iterates grow without limit where there is no solution; until then a look for a ray is wasted.
_LARGE = 1e3
# The same mean, or a multiple of what is asked for, below which an active set that has stood is solved for: an attempt costs
# about as much as an iteration, and saves several where it is the final set. Further off it hardly ever is that of a
# linear program.
_SMALL, _WITHIN = 1e-6, 1e5
# What the solution of a system may leave of it, relative to what is missing from the conditions; and relative to
# the right-hand side, for a factorisation that needs no refinement to predict.
_ALLOWED, _ROUGH = 1e-3, 1e-8
# A drift further than this from a proof is not worth a look, nor is a point that exceeds a row by so much of it.
_DRIFT, _MET = 1e-4, 1e-6
# Part of the largest coefficient that rows may lose to rounding.
_DIGITS = 1e-14
# Of a hash of active sets (a linear congruence in whole numbers that a float holds).
_FACTOR, _MASK = 1103515245, (1 << 52) - 1


def factorised(system, sides, V, W, R, S):
    """Factorise at the point, with more on the diagonals where that fails; whether it went well."""
    first = first_side(sides)
    s, z, weight = V[SLACKS, first:], V[POINT, first:], V[WEIGHT, first:]
    springs(sides, s, z, S[DELTA], weight)
    for _ in range(9):
        diagonals(sides, weight, S[RHO], S[DELTA], S[EXTRA], W[DIAGONAL], R[LOOSE])
        if system.factorise(W[DIAGONAL], R[LOOSE]):
            return True
        S[EXTRA] = max(1e-9, 10 * S[EXTRA])
    return False


def solved(system, sides, V, W, R, rho, right, found):
    """Solution for a right-hand side of all conditions, as exact as the factorisation."""
    weight = V[WEIGHT, first_side(sides) :]
    condense(sides, weight, rho, right, W[SPACE_W], R[SPACE_R])
    system.solve(W[SPACE_W], R[SPACE_R], found[: sides.q.size], R[DNU])
    expand(sides, weight, rho, right, R[DNU], found)


def left_over(system, sides, V, W, R, rho, delta, right, found, less):
    """What a solution leaves of its right-hand side, into `less`, and its size."""
    first = first_side(sides)
    dw, _, dy, dz = parts(sides, found)
    net(sides, dz, dy, R[ROWS], W[BOUNDS])
    system.curve(dw, W[CURVED])
    system.image(dw, R[IMAGE])
    system.pull(R[ROWS], W[PULLED])
    size = missing(sides, V[WEIGHT, first:], rho, delta, right, found, W[CURVED], W[PULLED], W[BOUNDS], R[IMAGE], less)
    # a maximum passes over NaN
    return size if is_finite(found) else math.inf


def direction(system, sides, V, W, R, S, refinements, allowed):
    """Solution for V[RIGHT] into V[FOUND], refined until it leaves no more than `allowed`; whether it is finite.

    With an infinite allowance it is not even looked at what the solution leaves, unless the last one left much.
    """
    right, found, better, error = V[RIGHT], V[FOUND], V[BETTER], V[ERROR]
    rho, delta, scale = S[RHO], S[DELTA], 1.0 + largest(right)
    is_rough = system.is_rough()
    is_trusted = allowed == math.inf and S[ROUGH] <= _ROUGH
    goal = 1e-13 * scale if is_rough else max(1e-13 * scale, min(allowed, _ROUGH * scale))
    size, rounds = math.inf, 0
    while True:
        solved(system, sides, V, W, R, rho, error if rounds > 0 else right, better)
        if rounds > 0:
            for i in range(found.size):
                better[i] += found[i]
        if is_trusted:
            size = 0.0 if is_finite(better) else math.inf
            break
        there = left_over(system, sides, V, W, R, rho, delta, right, better, error)
        if rounds == 0:
            S[ROUGH] = there / scale
        elif not there < size:
            break
        for i in range(found.size):
            found[i] = better[i]
        is_slow, size = there > 0.3 * size, there
        rounds += 1
        if is_slow or size <= goal or rounds > refinements:
            break
    if is_trusted:
        for i in range(found.size):
            found[i] = better[i]
    if size > max(goal, 1e-7 * scale):
        S[POOR] += 1.0
    return math.isfinite(size)


def moved(system, sides, V, W, R, S, refinements, fraction):
    """One predictor and corrector step with the factors at hand; whether the linear algebra held."""
    first = first_side(sides)
    point, right, found, lack = V[POINT], V[RIGHT], V[FOUND], V[MISSING]
    s, z = V[SLACKS, first:], point[first:]
    h, dz, products, on_slacks = right[first:], found[first:], V[CHANGES, first:], lack[first:]
    for i in range(right.size):
        right[i] = lack[i]
    for i in range(s.size):
        h[i] -= s[i]
    primal, dual, rate, count = 1.0, 1.0, 0.9, sides.count
    # the first direction only says how the second is to be corrected
    allowed = _ALLOWED * min(largest(lack), _ALLOWED)
    if not direction(system, sides, V, W, R, S, refinements, math.inf if count > 0 else allowed):
        return False
    if count > 0:
        ahead = predict(sides, s, z, dz, products) / (count * S[MU])
        target = min(1.0, max(0.0, ahead)) ** 3 * S[MU]
        correct(sides, s, z, products, dz, target, on_slacks, h)
        if not direction(system, sides, V, W, R, S, refinements, allowed):
            return False
        primal, dual, total = advance(sides, s, z, products, dz, fraction)
        mu = total / count
        rate, S[MU] = max(0.0, (S[MU] - mu) / S[MU]), mu
    S[STRIDE] = min(primal, dual)
    dual_from = sides.q.size + sides.sloped.size
    for i in range(dual_from):
        point[i] += primal * found[i]
    for i in range(dual_from, point.size - s.size):
        point[i] += dual * found[i]
    S[RHO] = max(S[FLOOR], S[LEAST_RHO], (1.0 - rate) * S[RHO])
    S[DELTA] = max(S[FLOOR], (1.0 - rate) * S[DELTA])
    S[EXTRA] *= 0.3
    return True


def measured(system, sides, V, W, R, S):
    """Residuals of the point, into V[MISSING] and S; the largest of them."""
    first = first_side(sides)
    x, _, y, z = parts(sides, V[POINT])
    net(sides, z, y, R[ROWS], W[BOUNDS])
    system.curve(x, W[CURVED])
    system.image(x, R[IMAGE])
    system.pull(R[ROWS], W[PULLED])
    violation, stationarity, gap = residuals(
        sides, V[POINT], V[SLACKS, first:], W[CURVED], W[PULLED], W[BOUNDS], R[IMAGE], V[MISSING]
    )
    S[VIOLATION], S[STATIONARITY], S[GAP] = violation, stationarity, gap
    # not `isfinite` of a sum, which reassociation may find to be always so
    is_number = abs(gap) < math.inf and stationarity < math.inf
    return max(violation, stationarity, gap) if is_number else math.inf


def copy_point(V, to, to_slacks, origin, origin_slacks):
    """Copy a point and its slacks between rows of V."""
    for i in range(V.shape[1]):
        V[to, i] = V[origin, i]
        V[to_slacks, i] = V[origin_slacks, i]


def guess_stood(sides, V, S):
    """For how many iterations the active set that multipliers and slacks suggest has stood; kept as a hash."""
    first = first_side(sides)
    s, z = V[SLACKS, first:], V[POINT, first:]
    code = 0
    for i in range(s.size):
        if sides.active[i] and z[i] > s[i]:
            code = (code * _FACTOR + i + 1) & _MASK
    if code == S[GUESS]:
        S[STOOD] += 1.0
    else:
        S[GUESS], S[STOOD] = float(code), 0.0
    return S[STOOD]


def separates(sides, W, R):
    """How far, relative to it, the multipliers are from a proof that nothing satisfies the constraints."""
    kind, low, high, rows, pulled = sides.kind, sides.low, sides.high, R[ROWS], W[PULLED]
    m, support, rest = rows.size, 0.0, 0.0
    for i in range(kind.size):
        pull = rows[i] if i < m else -pulled[i - m]
        if pull > 0.0 and kind[i] & (UPPER | EQUAL):
            support += pull * high[i]
        elif pull < 0.0 and kind[i] & (LOWER | EQUAL):
            support += pull * low[i]
        elif i >= m:
            rest = max(rest, abs(pull) / sides.units[i])
    return rest / -support if support < 0.0 else math.inf


def descends(sides, x, W, R):
    """How far the point is from a direction in which the objective falls for ever, where it satisfies the rows or rounding hides that."""
    kind, low, high, units = sides.kind, sides.low, sides.high, sides.units
    m, fall, rest, hidden = R[IMAGE].size, 0.0, 0.0, _DIGITS * largest(x)
    for j in range(x.size):
        fall += sides.q[j] * x[j] + sides.alpha[j] * abs(x[j])
        rest = max(rest, abs(W[CURVED, j]) / units[m + j])
    for i in range(kind.size):
        at = R[IMAGE, i] if i < m else x[i - m]
        if i < m and (max(at - high[i], low[i] - at) - hidden) * units[i] > _MET * (1.0 + abs(at) * units[i]):
            return math.inf
        if (at > 0.0 and kind[i] & (UPPER | EQUAL)) or (at < 0.0 and kind[i] & (LOWER | EQUAL)):
            rest = max(rest, abs(at) * units[i] * sides.cost)
    return rest / -fall if fall < 0.0 else math.inf


def judged(system, sides, V, W, R, S, tol, is_polishing):
    """Measure the point, keep the best, and say what has to be looked at."""
    before = S[VIOLATION]
    found = measured(system, sides, V, W, R, S)
    violation = S[VIOLATION]
    # the gap may grow for long while multipliers do and the violation falls
    if found < 0.9 * S[MARK] or violation < 0.9 * S[LEAST_VIOLATION]:
        S[MARK], S[MARKED] = min(found, S[MARK]), S[ITERATIONS]
        S[LEAST_VIOLATION] = min(violation, S[LEAST_VIOLATION])
    waited = S[ITERATIONS] - S[MARKED]
    is_held = S[STRIDE] > 0.9 and violation > 0.3 * before
    if S[DELTA] <= S[FLOOR] and (is_held or waited > _HURRY):
        # the steps are long, and yet the proximal term lets the multipliers move little
        S[FLOOR] = max(0.1 * S[FLOOR], S[FINEST])
    if found < S[LEAST]:
        S[LEAST] = found
        copy_point(V, BEST, BEST_SLACKS, POINT, SLACKS)
    stood = guess_stood(sides, V, S)
    if found <= tol:
        return SOLVED
    is_late = waited > (_PATIENCE if S[MARK] < 1e-3 and S[MU] < _EXHAUSTED else _LONG_PATIENCE)
    if is_late or not math.isfinite(found):
        return LATE
    is_close = S[MU] < _SMALL or found < _WITHIN * tol
    if is_polishing and stood >= 1.0 and S[GUESS] != S[POLISHED] and is_close:
        S[POLISHED] = S[GUESS]
        return POLISH
    x, _, _, z = parts(sides, V[POINT])
    if S[ITERATIONS] >= 3.0:
        drift = separates(sides, W, R) if max(largest(R[ROWS]), largest(z)) > _LARGE else math.inf
        if largest(x) > _LARGE:
            drift = min(drift, descends(sides, x, W, R))
        # a look costs more than some iterations, and is worth it where much has changed
        if drift <= _DRIFT and drift < 0.1 * S[DRIFT]:
            S[DRIFT] = drift
            return RAY
    return GOING


def pull_of_springs(system, sides, V, W, R):
    """Right-hand side of a start at the coefficients that are held, with all other conditions at zero, into V[RIGHT]."""
    kind, low, high = sides.kind, sides.low, sides.high
    p, size, held = sides.q.size, kind.size, W[SPACE_W]
    m = size - p
    on_w, on_t, on_rows, h = parts(sides, V[RIGHT])
    for j in range(p):
        held[j] = low[m + j] if kind[m + j] & EQUAL else 0.0
    system.image(held, R[IMAGE])
    system.curve(held, W[CURVED])
    for j in range(p):
        on_w[j], V[POINT, j] = -(sides.q[j] + W[CURVED, j]), held[j]
    for i in range(size):
        at = R[IMAGE, i] if i < m else held[i - m]
        h[i] = low[i] - at if kind[i] & LOWER else 0.0
        h[size + i] = at - high[i] if kind[i] & UPPER else 0.0
        if i < m:
            on_rows[i] = low[i] - at if kind[i] & EQUAL else 0.0
    for k in range(on_t.size):
        on_t[k] = -sides.alpha[sides.sloped[k]]
        h[2 * size + k], h[2 * size + on_t.size + k] = 0.0, 0.0


def moved_inside(sides, s, z, dz, S):
    """Slacks and multipliers from what springs gave, symmetric around it and positive, in place."""
    lift_s, lift_z, total = 0.0, 0.0, 0.0
    for i in range(s.size):
        if sides.active[i]:
            lift_s, lift_z = max(lift_s, dz[i]), max(lift_z, -dz[i])
    for i in range(s.size):
        if sides.active[i]:
            total += (lift_s - dz[i]) * (dz[i] + lift_z)
    if sides.count > 0:
        S[MU] = max(total / sides.count, 1e-10)
    for i in range(s.size):
        z[i] = max((dz[i] + math.sqrt(dz[i] * dz[i] + 4.0 * S[MU])) / 2.0, 1e-12) if sides.active[i] else 0.0
        s[i] = S[MU] / z[i] if sides.active[i] else 0.0


def first_point(system, sides, V, W, R, S, refinements, is_factored):
    """What `begin` does."""
    first = first_side(sides)
    point, found, p = V[POINT], V[FOUND], sides.q.size
    s, z = V[SLACKS, first:], point[first:]
    pull_of_springs(system, sides, V, W, R)
    has_factors = is_factored or factorised(system, sides, V, W, R, S)
    if not (has_factors and direction(system, sides, V, W, R, S, refinements, 0.0)):
        return False
    for i in range(p):
        point[i] += found[i]
    for i in range(p, point.size - s.size):
        point[i] = found[i]
    moved_inside(sides, s, z, found[first:], S)
    return True


@brief_kernel
def begin(system, sides, V, W, R, S, refinements, is_factored):
    """Start, in place: the solution with all inequalities as springs, moved inside; whether the linear algebra held.

    Slacks and multipliers are one before, and the factors for them may have been made outside.
    """
    return first_point(system, sides, V, W, R, S, refinements, is_factored)


@brief_kernel
def weigh(sides, V, W, R, S):
    """Diagonals at the point into W[DIAGONAL] and R[LOOSE], in place, for a factorisation that is made outside."""
    first = first_side(sides)
    weight = V[WEIGHT, first:]
    springs(sides, V[SLACKS, first:], V[POINT, first:], S[DELTA], weight)
    diagonals(sides, weight, S[RHO], S[DELTA], S[EXTRA], W[DIAGONAL], R[LOOSE])


def iterated(system, sides, V, W, R, S, tol, count, refinements, fraction, is_polishing, is_factored):
    """What `iterate` does."""
    event = judged(system, sides, V, W, R, S, tol, is_polishing) if S[MARK] == math.inf else GOING
    if event != GOING:
        return event
    for _ in range(count):
        if S[POOR] >= 2.0:
            S[POOR] = 0.0
            return HARDER
        S[ITERATIONS] += 1.0
        has_factors = is_factored or factorised(system, sides, V, W, R, S)
        is_factored = False
        if not (has_factors and moved(system, sides, V, W, R, S, refinements, fraction)):
            return BROKEN
        event = judged(system, sides, V, W, R, S, tol, is_polishing)
        if event != GOING:
            return event
    return GOING


@brief_kernel
def iterate(system, sides, V, W, R, S, tol, count, refinements, fraction, is_polishing, is_factored):
    """At most `count` iterations, in place; returns why they ended. The first call looks at the start before.

    The first iteration makes no factors where they have been made outside, after `weigh`.
    """
    return iterated(system, sides, V, W, R, S, tol, count, refinements, fraction, is_polishing, is_factored)
