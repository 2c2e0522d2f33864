"""Laws of penalties and of other terms with a prox."""

from __future__ import annotations

import numpy as np

from sparseopt.testing.comparisons import ROUNDING, check_frozen, compiled, copied, prox_and_value


def check_penalty(penalty, *, steps=(0.1, 0.5, 1.0, 2.0, 5.0, 20.0), grid=None) -> None:
    """Check that value, prox and declared facts of a penalty belong together.

    Parameters
    ----------
    penalty : Penalty
    steps : sequence of float
        Steps of the prox. Solvers choose them, so a penalty has to stand them all.
    grid : increasing array, optional
        Where the minimum that the prox claims is sought; by default 3201 points from -8 to 8.

    Raises
    ------
    AssertionError
        With the point and the numbers that contradict each other.
    """
    grid = np.linspace(-8.0, 8.0, 3201) if grid is None else np.asarray(grid, dtype=np.float64)
    points = grid[::40]
    check_frozen(penalty)
    size = next((p for p in range(1, 1000) if penalty.rejects_size(p) is None), None)
    if size is None:
        raise AssertionError(f"{penalty!r}: rejects_size refuses every number of coefficients.")
    for j in range(min(size, 4)):
        values = np.array([penalty.value_at(j, w) for w in grid], dtype=np.float64)
        _check_values(penalty, j, grid, values)
        for step in steps:
            for v in points:
                _check_prox(penalty, j, float(v), float(step), grid, values)
            if not np.isnan(hidden := penalty.prox_at(j, np.nan, step)):
                raise AssertionError(
                    f"{penalty!r}: prox(nan, {step:g}) is {hidden!r}, which hides a NaN; return a number only where v is one."
                )
    again = copied(penalty)
    for step in steps:
        for v in points:
            _check_vector_prox(penalty, again, np.full(size, v), float(step))


def _check_values(penalty, j, grid, values):
    bad = np.flatnonzero(~(values > -np.inf))
    if bad.size:
        raise AssertionError(f"{penalty!r}: value({grid[bad[0]]:g}) is {values[bad[0]]}; a penalty is a number or inf.")
    inside = np.flatnonzero(np.isfinite(values))
    if inside.size == 0:
        raise AssertionError(
            f"{penalty!r}: value is infinite from {grid[0]:g} to {grid[-1]:g}; pass a grid on which it is not."
        )
    rounding = ROUNDING * (1.0 + np.abs(values[inside]).max())
    slopes = np.diff(values[inside]) / np.diff(grid[inside])
    falls = np.diff(slopes) < -4.0 * rounding / np.diff(grid[inside]).min()
    if penalty.is_convex and (np.any(falls) or np.any(np.diff(inside) != 1)):
        near = grid[inside][np.flatnonzero(falls | (np.diff(inside)[1:] != 1))[:1]]
        raise AssertionError(f"{penalty!r} is declared convex, but its value lies above a chord near w = {near}.")
    if not penalty.is_symmetric:
        return
    for w, value in zip(grid, values, strict=True):
        mirrored, outer = penalty.value_at(j, -w), penalty.value_at(j, 1.001 * w)
        if not (value == mirrored or abs(value - mirrored) <= rounding) or outer < value - rounding:
            raise AssertionError(
                f"{penalty!r} is declared symmetric, but value({w:g}) = {value:g}, value({-w:g}) = {mirrored:g} "
                f"and value({1.001 * w:g}) = {outer:g}."
            )


def _check_prox(penalty, j, v, step, grid, values):
    """The prox costs no more than the best point of the grid, nor of a finer one around that."""
    w = penalty.prox_at(j, v, step)
    if w == 0.0 and np.signbit(w):
        raise AssertionError(f"{penalty!r}: prox({v:g}, {step:g}) is -0.0; return 0.0.")
    cost = step * penalty.value_at(j, w) + (w - v) ** 2 / 2
    if not np.isfinite(cost):
        raise AssertionError(
            f"{penalty!r}: prox({v:g}, {step:g}) is {w!r}, where the value is {penalty.value_at(j, w)!r}."
        )
    i = int(np.argmin(step * values + (grid - v) ** 2 / 2))
    around = np.append(np.linspace(grid[max(i - 1, 0)], grid[min(i + 1, grid.size - 1)], 201), grid[i])
    costs = np.array([step * penalty.value_at(j, x) for x in around]) + (around - v) ** 2 / 2
    best = int(np.argmin(costs))
    # the finer grid resolves the least cost to (h / 200)**2 / 2, 3e-10 for the default one
    if not cost <= costs[best] + 1e-10 * (1.0 + abs(costs[best])):
        raise AssertionError(
            f"{penalty!r}: prox({v:g}, {step:g}) is {w:.9g} with step * value(w) + (w - v)**2 / 2 = {cost:.9g}, "
            f"but w = {around[best]:.9g} has {costs[best]:.9g}."
        )


def _check_vector_prox(penalty, again, v, step):
    expected = np.array([penalty.prox_at(j, v[j], step) for j in range(v.size)])
    value = sum(penalty.value_at(j, expected[j]) for j in range(v.size))
    cost = step * value + np.sum((expected - v) ** 2) / 2
    for way, term in (("compiled", penalty), ("copied, as by pickle,", again)):
        found = np.empty_like(v)
        found_value = compiled(penalty, prox_and_value, term, v, step, found)
        found_cost = step * found_value + np.sum((found - v) ** 2) / 2
        # at a tie between two minimisers the rounding of either way decides
        if not abs(found_cost - cost) <= ROUNDING * v.size * (1.0 + abs(cost)):
            raise AssertionError(
                f"{penalty!r}: prox({v[0]:g}, {step:g}) is {expected} with value {value:g} in plain Python, "
                f"and {found} with value {found_value:g} {way}."
            )


def check_term(term, p, *, seed=0) -> None:
    """Check that value, prox and convex form of a term on whole vectors belong together.

    For a convex term with a form the check is a proof: w is the prox of v where the slope
    s = (v - w) / step has g(w) + g*(s) = s.w (Fenchel, 1949).

    Parameters
    ----------
    term : ProximalTerm
    p : int
        Number of coefficients to test with.
    seed : int, default 0
        Of the random points.

    Raises
    ------
    AssertionError
        With the point and the numbers that contradict each other.
    """
    if reason := term.rejects_size(p):
        raise AssertionError(f"{term!r} refuses {p} coefficients: {reason}.")
    check_frozen(term)
    random = np.random.default_rng(seed)
    # whole and rounded numbers make ties, and signs of zero
    points = [np.round(3.0 * random.standard_normal(p), digits) for digits in (0, 0, 1, 17)]
    points += [-0.0 * points[0], np.full(p, -2.0), 1e-3 * points[-1], 1e3 * points[-1]]
    ready, again = term.private(p), copied(term.private(p))
    for v in points:
        v.flags.writeable = False
        for step in (0.1, 1.0, 7.0):
            _check_term_prox(ready, again, v, step)


def _check_term_prox(term, again, v, step):
    name, p = f"{term!r:.60}", v.size
    w, others = np.empty(p), (np.empty(p), np.empty(p))
    term.prox_into(v, step, w)
    value = float(term.evaluate(w))
    cost = step * value + np.sum((w - v) ** 2) / 2
    rounding = 1e-11 * p * (1.0 + cost + np.abs(v).max())
    for way, like, found in (("compiled", term, others[0]), ("copied, as by pickle,", again, others[1])):
        found_value = compiled(term, prox_and_value, like, np.array(v), step, found)
        found_cost = step * found_value + np.sum((found - v) ** 2) / 2
        if not abs(found_cost - cost) <= rounding:
            raise AssertionError(
                f"{name}: prox({v}, {step:g}) is {w} with value {value:g} in plain Python, "
                f"and {found} with value {found_value:g} {way}."
            )
    if any(np.any((z == 0.0) & np.signbit(z)) for z in (w, *others)):
        raise AssertionError(f"{name}: prox({v}, {step:g}) holds -0.0; return 0.0.")
    rivals = [
        np.zeros(p),
        v,
        w + 1e-3,
        w - 1e-3,
        *(w + 1e-3 * e for e in np.eye(p)),
        *(w - 1e-3 * e for e in np.eye(p)),
    ]
    for z in rivals:
        if step * term.evaluate(z) + np.sum((z - v) ** 2) / 2 < cost - rounding:
            raise AssertionError(f"{name}: prox({v}, {step:g}) is {w} with cost {cost:.9g}, but {z} costs less.")
    form = term.convex_form(p)
    if not term.is_convex or form is None:
        return
    slope = (v - w) / step
    nearest = form.nearest_slope(slope)
    outside = float(np.max(np.abs(slope - nearest)))
    slack = form.value(w) + form.conjugate(nearest) - float(nearest @ w)
    distance = form.subgradient_distance(w, -slope)
    off = 0.0 if distance is None else float(np.max(distance))
    wrong = abs(form.value(w) - value) + abs(slack)
    if not outside <= rounding / step or not wrong <= rounding / step or not off <= rounding / step:
        raise AssertionError(
            f"{name}: at w = prox({v}, {step:g}) = {w} the form has the value {form.value(w):.9g}, the term {value:.9g}; "
            f"(v - w) / step is {outside:g} away from a slope, misses the value by {slack:g} and the "
            f"subgradients by {off:g}."
        )
