"""Laws that every term and solver keeps: the first thing to run on one of your own.

Each check calls the methods as plain Python first, where a mistake shows as an ordinary error,
and compiled after that. It returns nothing, and raises AssertionError at the first point where
a law fails. Use small data: plain Python is slow.
"""

from __future__ import annotations

import copy
import dataclasses

import numpy as np
from scipy import sparse

from sparseopt._jit import CompilationError, kernel
from sparseopt.certificate import certify, needs_multipliers
from sparseopt.conjugates import has_conjugate, loss_conjugate, sample_slopes, slope_scale
from sparseopt.constraints import (
    Box,
    Cardinality,
    Forbidden,
    GroupCardinality,
    LinearConstraint,
    Projectable,
    Simplex,
    SupportConstraint,
)
from sparseopt.losses import Cox, DualLoss, LeastSquares, Logistic, Multinomial, MultiResponse, Quadratic, SampleLoss
from sparseopt.penalties import L1, MCP, GroupLasso, GroupMCP, Ridged
from sparseopt.poisoning import poisoned
from sparseopt.problem import Problem
from sparseopt.solution import Status, UnsupportedProblem
from sparseopt.solve import solve

__all__ = ["check_constraint", "check_loss", "check_penalty", "check_solver", "check_term", "poisoned"]

# A sum of some hundred float64 numbers is right to this part of its largest term.
_ROUNDING = 1e-12


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
    _check_frozen(penalty)
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
    again = _copied(penalty)
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
    rounding = _ROUNDING * (1.0 + np.abs(values[inside]).max())
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


@kernel
def _prox_and_value(penalty, v, step, out):
    """prox of v, into `out`; returns the value there."""
    penalty.prox_into(v, step, out)
    return penalty.evaluate(out)


def _check_vector_prox(penalty, again, v, step):
    expected = np.array([penalty.prox_at(j, v[j], step) for j in range(v.size)])
    value = sum(penalty.value_at(j, expected[j]) for j in range(v.size))
    cost = step * value + np.sum((expected - v) ** 2) / 2
    for way, term in (("compiled", penalty), ("copied, as by pickle,", again)):
        found = np.empty_like(v)
        found_value = _compiled(penalty, _prox_and_value, term, v, step, found)
        found_cost = step * found_value + np.sum((found - v) ** 2) / 2
        # at a tie between two minimisers the rounding of either way decides
        if not abs(found_cost - cost) <= _ROUNDING * v.size * (1.0 + abs(cost)):
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
    _check_frozen(term)
    random = np.random.default_rng(seed)
    # whole and rounded numbers make ties, and signs of zero
    points = [np.round(3.0 * random.standard_normal(p), digits) for digits in (0, 0, 1, 17)]
    points += [-0.0 * points[0], np.full(p, -2.0), 1e-3 * points[-1], 1e3 * points[-1]]
    ready, again = term.private(p), _copied(term.private(p))
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
        found_value = _compiled(term, _prox_and_value, like, np.array(v), step, found)
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


def check_loss(loss, *, seed=0) -> None:
    """Check that value, gradient, bounds on the curvature and what kernels call agree.

    Parameters
    ----------
    loss : Loss
        With small data, some ten columns.
    seed : int, default 0
        Of the random points.

    Raises
    ------
    AssertionError
        With the quantity and the two numbers that contradict each other.
    """
    _check_frozen(loss)
    random = np.random.default_rng(seed)
    p = loss.n_features
    unit = 1.0 / np.sqrt(max(loss.lipschitz_near(np.zeros(p, dtype=loss.dtype)), np.finfo(loss.dtype).tiny))
    points = [scale * unit * random.standard_normal(p).astype(loss.dtype) for scale in (0.0, 1.0, 10.0)]
    for w in points:
        directions = np.concatenate([np.eye(p)[:8], random.standard_normal((3, p))])
        for d in directions:
            _check_tangent(loss, w, d.astype(loss.dtype))
        _check_running(loss, w, random)
        _check_images(loss, w, unit * random.standard_normal(p).astype(loss.dtype))
        _check_restriction(loss, w)
        if isinstance(loss, DualLoss):
            _check_hessian(loss, w)
            _check_dual_ray(loss, w, random)
        if isinstance(loss, SampleLoss | LeastSquares):
            _check_bends(loss, w, random)
            _check_curvature(loss, w)
            _check_conjugate(loss, w)
            _check_intercept(loss, w)
            _check_repetition(loss, w, random)
    _check_storage(loss, points)
    _check_same(
        loss, "the gradient of a copy, as by pickle,", _copied(loss).gradient(points[1]), loss.gradient(points[1]), 0.0
    )


def _check_tangent(loss, w, d):
    """f lies between its tangent at w and the parabola of each bound on the curvature."""
    w = w.astype(np.float64)
    height, slope = loss.evaluate(w), float(np.asarray(loss.gradient(w), dtype=np.float64) @ d)
    eta, image = loss.image(w), loss.image(d)
    u = np.zeros(loss.image_size, dtype=loss.dtype)
    loss.backward(w, eta, u, np.empty(w.size, dtype=loss.dtype))
    bounds = {}
    if loss.has_bounded_curvature:
        bounds |= {"hessian_bound": float(d @ loss.hessian_bound(d)), "bend": float(loss.bend(d, image))}
    if loss.has_bounded_curvature and np.count_nonzero(d) == 1:
        bounds["curvatures"] = float(loss.curvatures()[np.argmax(d)])
    largest = max([float(d @ loss.hessian_near(w, d)), *bounds.values(), np.finfo(np.float64).tiny])
    unit = 1.0 / np.sqrt(largest)
    for t in np.array([1e-4, -1e-4, 0.1, -0.1, 10.0, -10.0]) * unit:
        rise = loss.evaluate(w + t * d.astype(np.float64)) - height
        rounding = _ROUNDING * (abs(height) + abs(height + rise) + abs(t * slope))
        if rise < t * slope - rounding:
            raise AssertionError(
                f"{type(loss).__name__}: a step of {t:g} raises the value by {rise:.9g}, less than the {t * slope:.9g} of its "
                "tangent: the gradient is wrong or the loss is not convex."
            )
        bounds["bend_from"] = float(loss.bend_from(eta, u, loss.dtype.type(t) * d, loss.dtype.type(t) * image)) / t**2
        for name, bend in bounds.items():
            room = t * t * bend / 2 * (1.0 + 1e3 * np.finfo(loss.dtype).eps)
            if rise > t * slope + room + rounding:
                raise AssertionError(
                    f"{type(loss).__name__}: a step of {t:g} raises the value by {rise:.9g}, more than the {t * slope:.9g} of the tangent "
                    f"and the {room:.9g} of the curvature bound {name} = {bend:g}: gradient or bound is wrong."
                )


def _slope_rounding(loss, w):
    """What rounding may do to the slope in each coefficient, in the type of the data."""
    # |slope_j| <= sqrt(2 L_j (f(w) - min f)), and each of its terms is bounded likewise
    height = abs(loss.evaluate(w)) + abs(loss.evaluate(np.zeros_like(w))) + float(w @ loss.hessian_near(w, w))
    slope = np.abs(loss.gradient(w.astype(np.float64)))
    return 1e3 * np.finfo(loss.dtype).eps * (np.sqrt(2 * loss.curvatures_near(w) * height) + slope)


def _check_running(loss, w, random):
    """Slopes read off the running vector are the gradient, at the start and after moves."""
    running, w = loss.start(w), w.copy()
    for way in ("at the start", "after moves"):
        slopes = [loss.coordinate_slope(running, j) for j in range(w.size)]
        _check_same(
            loss, f"coordinate_slope {way}", slopes, loss.gradient(w.astype(np.float64)), _slope_rounding(loss, w)
        )
        for j in random.permutation(w.size)[:8]:
            step = loss.dtype.type(random.standard_normal()) / max(
                np.sqrt(loss.curvatures_near(w)[j]), loss.dtype.type(1e-3)
            )
            loss.move(running, j, step)
            w[j] += step
        loss.settle(running)


def _check_bends(loss, w, random):
    """A move of one coordinate raises the value by no more than its bend allows."""
    w = w.astype(np.float64)
    running, height, slope = loss.start(w.astype(loss.dtype)), loss.evaluate(w), loss.gradient(w)
    for j in range(w.size):
        bend = float(loss.coordinate_bend(running, j, loss.curvatures_near(w)[j]))
        if not (np.isfinite(bend) and bend >= 0.0):
            raise AssertionError(f"{type(loss).__name__}: coordinate_bend of coefficient {j} is {bend}.")
        if bend == 0.0:
            continue
        for t in np.array([0.1, -0.1, 3.0, -3.0]) * random.uniform(0.5, 1.0) / np.sqrt(bend):
            moved = w.copy()
            moved[j] += t
            rise, needed = loss.evaluate(moved) - height, float(loss.move_bend(running, j, loss.dtype.type(t), bend))
            room = t * t * needed / 2 * (1.0 + 1e3 * np.finfo(loss.dtype).eps)
            rounding = 1e3 * np.finfo(loss.dtype).eps * (abs(height) + abs(t * slope[j]))
            if rise > t * slope[j] + room + rounding:
                raise AssertionError(
                    f"{type(loss).__name__}: a move of coefficient {j} by {t:g} raises the value by {rise:.9g}, more than "
                    f"the {t * slope[j]:.9g} of the tangent and the {room:.9g} of move_bend = {needed:g}."
                )


def _check_curvature(loss, w):
    """The second derivative of phi is the growth of its slope, up to where it jumps."""
    if not isinstance(loss, SampleLoss):
        return
    y, z = loss.y.astype(np.float64), loss.predict(w.astype(np.float64))
    h = 1e-5 * np.maximum(1.0, np.abs(z))
    growth = (loss.slope(y, z + h) - loss.slope(y, z - h)) / (2 * h)
    near = np.array([loss.curvature(y, z + step) for step in (-h, 0.0 * h, h)])
    # in units of the curvature itself; the slope is right to some digits, and h takes five of them
    room = 1e-4 * np.max(near, axis=0) + 1e-9 * (1.0 + np.abs(loss.slope(y, z)))
    wrong = np.flatnonzero(~((growth >= near.min(axis=0) - room) & (growth <= near.max(axis=0) + room)))
    if wrong.size:
        i = int(wrong[0])
        raise AssertionError(
            f"{type(loss).__name__}: the curvature is {near[1, i]:.9g} for y = {y[i]:g} and z = {z[i]:g}, but the slope "
            f"grows by {growth[i]:.9g} for each unit of z."
        )


def _check_conjugate(loss, w):
    """phi(z) + phi*(v) = v z where v is the slope at z (Fenchel and Young), and no less for other slopes."""
    if not (isinstance(loss, SampleLoss) and has_conjugate(loss)):
        return
    z = loss.predict(w.astype(np.float64))
    value, eta = loss.value(loss.y.astype(np.float64), z), z - loss.offset.added_to(0.0 * z)
    slopes = sample_slopes(loss, w.astype(np.float64))
    for other, is_own in ((slopes, True), (0.7 * slopes, False), (np.roll(slopes, 1), False)):
        v = slope_scale(loss, other) * other
        conjugate = loss_conjugate(loss, v)
        excess = value + conjugate - v * eta
        rounding = 1e-9 * (
            1.0 + np.abs(value) + np.abs(np.where(np.isfinite(conjugate), conjugate, 0.0)) + np.abs(v * eta)
        )
        if not (np.all(excess >= -rounding) and (not is_own or np.all(excess <= rounding))):
            i = int(np.argmax(np.where(np.isnan(excess), np.inf, np.abs(excess) / rounding)))
            raise AssertionError(
                f"{type(loss).__name__}: phi + phi* - v z is {excess[i]:.9g} for row {i} at v = {v[i]:.9g}, z = {z[i]:.9g}; "
                f"it must be {'zero' if is_own else 'at least zero'}: conjugate or slope_scale is wrong."
            )


def _check_hessian(loss, w):
    """The second derivative is that of the gradient, along each axis."""
    w, columns = w.astype(np.float64), np.arange(0, w.size, 2)
    found = loss.hessian(w, columns)
    for place, j in enumerate(columns):
        h = 1e-4 / np.sqrt(max(found[place, place], 1e-12 * np.max(found.diagonal()), np.finfo(np.float64).tiny))
        around = [np.asarray(loss.gradient(w + t * h * np.eye(w.size)[j]))[columns] for t in (-2.0, -1.0, 1.0, 2.0)]
        slopes = (8.0 * (around[2] - around[1]) - (around[3] - around[0])) / (12.0 * h)
        size = np.sqrt(found.diagonal() * found[place, place])
        _check_same(loss, f"hessian, column {j},", found[:, place], slopes, 1e-6 * np.max(size))


def _check_dual_ray(loss, w, random):
    """F*(k u) is at least k u.Xz - F(Xz) everywhere, and that at z = w where k = 1 (Fenchel, 1949)."""
    w = w.astype(np.float64)
    ray = loss.dual_ray(w)
    unit = 1.0 / np.sqrt(max(loss.lipschitz(), np.finfo(np.float64).tiny))
    points = [w, np.zeros_like(w), *(w + size * unit * random.standard_normal(w.size) for size in (0.01, 1.0, 10.0))]
    for scale in (0.0, 0.3, 0.99, 1.0):
        value, size = ray.conjugate(scale)
        for z in points:
            least = scale * float(ray.slope @ z) - loss.evaluate(z)
            rounding = 1e-11 * (size + abs(value) + np.abs(ray.slope) @ np.abs(z) + abs(loss.evaluate(z)))
            if value < least - rounding:
                raise AssertionError(
                    f"{type(loss).__name__}: the conjugate at {scale:g} times the slope is {value:.12g}, less than {least:.12g}."
                )
            if scale == 1.0 and z is w:
                _check_same(loss, "the conjugate of the slope", value, least, rounding)


def _images(loss, w, d, eta, u, slope, image):
    """Images of w and d, and the slope at w, in place; returns the bend from w along d."""
    loss.forward(w, eta)
    loss.backward(w, eta, u, slope)
    loss.forward(d, image)
    return loss.bend_from(eta, u, d, image)


def _moves(loss, w, running, slopes):
    """Moves each coefficient from zero to w_j and settles, in place; leaves the slopes there."""
    for j in range(w.size):
        loss.move(running, j, w[j])
    loss.settle(running)
    for j in range(w.size):
        slopes[j] = loss.coordinate_slope(running, j)


_compiled_images, _compiled_moves = kernel(_images), kernel(_moves)


def _check_images(loss, w, d):
    """What a gradient kernel and a coordinate kernel call gives the same in Python, compiled and by numpy."""
    rounding = _slope_rounding(loss, w)
    eps = 1e3 * np.finfo(loss.dtype).eps
    size = loss.image_size
    for way, images, moves in (("in plain Python", _images, _moves), ("compiled", _compiled_images, _compiled_moves)):
        eta, u, image = (np.zeros(size, dtype=loss.dtype) for _ in range(3))
        slope, slopes = np.empty_like(w), np.empty_like(w)
        bend = _compiled(loss, images, loss, w, d, eta, u, slope, image)
        _check_same(loss, f"forward {way}", eta, loss.image(w), eps * np.abs(loss.image(w)).max(initial=0.0))
        _check_same(loss, f"backward {way}", slope, loss.gradient(w.astype(np.float64)), rounding)
        expected = loss.bend_from(loss.image(w), u, d, loss.image(d))
        _check_same(loss, f"bend_from {way}", bend, expected, eps * abs(expected))
        _compiled(loss, moves, loss, w, loss.start(np.zeros_like(w)), slopes)
        _check_same(
            loss, f"coordinate_slope after moves, {way},", slopes, loss.gradient(w.astype(np.float64)), rounding
        )


def _check_restriction(loss, w):
    for columns in (np.arange(0, w.size, 2), np.arange(0)):
        part = np.zeros_like(w)
        part[columns] = w[columns]
        rounding = 1e3 * np.finfo(loss.dtype).eps * (abs(loss.evaluate(part)) + abs(loss.evaluate(np.zeros_like(w))))
        name = f"the value of restrict({columns.tolist()})"
        _check_same(loss, name, loss.restrict(columns).evaluate(w[columns]), loss.evaluate(part), rounding)


def _check_intercept(loss, w):
    """The fitted values are X w + b, and no other b is better."""
    w = w.astype(np.float64)
    z = loss.offset.added_to(loss.X.matrix @ w + loss.intercept_at(w))
    eps = 1e3 * np.finfo(loss.dtype).eps
    _check_same(loss, "predict", loss.predict(w), z, eps * (np.abs(z) + np.abs(loss.y).max()))
    slopes = loss.sample_weight.values * (z - loss.y if isinstance(loss, LeastSquares) else loss.slope(loss.y, z))
    if loss.intercept:
        _check_same(
            loss,
            "the slope in the intercept",
            np.sum(slopes),
            0.0,
            eps * (np.sum(np.abs(slopes)) + np.abs(loss.y).max()),
        )


def _check_repetition(loss, w, random):
    """Weighing a sample k times is the same as giving it k times."""
    counts = random.integers(1, 4, size=loss.y.size)
    rows = np.repeat(np.arange(loss.y.size), counts)
    X = loss.X.matrix.tocsr() if sparse.issparse(loss.X.matrix) else loss.X.matrix
    weighted = dataclasses.replace(loss, sample_weight=counts)
    repeated = dataclasses.replace(
        loss, X=X[rows], y=loss.y[rows], sample_weight=None, offset=loss.offset.at_rows(rows)
    )
    rounding = (
        1e3 * np.finfo(loss.dtype).eps * (1.0 + abs(weighted.evaluate(w)) + abs(weighted.evaluate(np.zeros_like(w))))
    )
    _check_same(loss, "the value with weights", weighted.evaluate(w), repeated.evaluate(w), rounding)
    _check_same(
        loss, "the gradient with weights", weighted.gradient(w), repeated.gradient(w), _slope_rounding(weighted, w)
    )


def _check_storage(loss, points):
    """A dense and a sparse matrix with the same entries give the same numbers."""
    match loss:
        case SampleLoss() | LeastSquares():
            design, name = loss.X.matrix, "X"
        case Quadratic():
            design, name = loss.Q.matrix, "Q"
        case _:
            return
    other = dataclasses.replace(
        loss, **{name: design.toarray() if sparse.issparse(design) else sparse.csc_array(design)}
    )
    for w in points:
        rounding = _slope_rounding(loss, w)
        slopes = [other.coordinate_slope(other.start(w), j) for j in range(w.size)]
        _check_same(
            loss, f"the gradient with {name} in the other storage", other.gradient(w), loss.gradient(w), rounding
        )
        _check_same(loss, f"coordinate_slope with {name} in the other storage", slopes, loss.gradient(w), rounding)


def check_constraint(constraint, p, *, seed=0) -> None:
    """Check that the projection on a set is its nearest point, and that violation is zero there.

    Parameters
    ----------
    constraint : Constraint
        One without a projection (linear rows) is only measured.
    p : int
        Number of coefficients to test with.
    seed : int, default 0
        Of the random points.

    Raises
    ------
    AssertionError
        With the point and the numbers that contradict each other.
    """
    if reason := constraint.rejects_size(p):
        raise AssertionError(f"{constraint!r} refuses {p} coefficients: {reason}.")
    _check_frozen(constraint)
    random = np.random.default_rng(seed)
    points = [np.zeros(p), *(scale * random.standard_normal(p) for scale in (0.01, 0.1, 1.0, 10.0) for _ in range(5))]
    points += [w * (random.random(p) < 0.5) + 0.0 for w in points[1:9]]
    for w in points:
        w.flags.writeable = False
        violation = constraint.violation(w)
        if not (isinstance(violation, float) and violation >= 0.0):
            raise AssertionError(f"{constraint!r}: violation({w}) is {violation!r}; it must be a float of at least 0.")
    if isinstance(constraint, SupportConstraint):
        _check_support(constraint, points)
    if not isinstance(constraint, Projectable | Box | Cardinality | GroupCardinality | Forbidden):
        return
    again = _copied(constraint)
    inside = [constraint.project(w) for w in points]
    inside += [constraint.project(z + 1e-3 * random.standard_normal(p)) for z in inside]
    for w in points:
        _check_projection(constraint, again, w, inside)


def _check_support(constraint, points):
    for w in points:
        support = w != 0.0
        if constraint.allows(support) != (constraint.violation(w) == 0.0):
            raise AssertionError(f"{constraint!r}: allows({support}) contradicts violation({w}).")
        if constraint.violation(w) != _copied(constraint).violation(np.sign(w)):
            raise AssertionError(f"{constraint!r}: the violation of {w} must depend on its support alone.")


def _check_projection(constraint, again, w, inside):
    z = constraint.project(w)
    rounding = 1e2 * np.finfo(np.float64).eps * w.size * (1.0 + np.abs(w).max() + np.abs(z).max())
    name = repr(constraint)
    if constraint.violation(z) > rounding:
        raise AssertionError(
            f"{name}: the projection of {w} is {z}, which violates the set by {constraint.violation(z):g}."
        )
    if np.abs(constraint.project(z) - z).max() > rounding:
        raise AssertionError(f"{name}: the projection of {w} is {z}, whose own projection is {constraint.project(z)}.")
    if constraint.violation(w) == 0.0 and np.abs(z - w).max() > rounding:
        raise AssertionError(f"{name}: {w} lies in the set, but its projection is {z}.")
    distance = np.linalg.norm(z - w)
    nearer = [x for x in inside if np.linalg.norm(x - w) < distance - rounding]
    if nearer:
        raise AssertionError(
            f"{name}: the projection of {w} is {z} at distance {distance:.9g}, but {nearer[0]} is nearer, at {np.linalg.norm(nearer[0] - w):.9g}."
        )
    if np.any((z == 0.0) & np.signbit(z)):
        raise AssertionError(f"{name}: the projection of {w} holds -0.0; return 0.0.")
    if np.abs(again.project(w) - z).max() != 0.0:
        raise AssertionError(f"{name}: a copy, as by pickle, projects {w} on {again.project(w)}, not on {z}.")
    if constraint.project(w.astype(np.float32)).dtype != np.float32:
        raise AssertionError(
            f"{name}: the projection of float32 numbers is {constraint.project(w.astype(np.float32)).dtype}."
        )
    if isinstance(constraint, Projectable):
        found = np.empty_like(w)
        _compiled(constraint, _prox_and_value, constraint, np.array(w), 1.0, found)
        if np.abs(found - z).max() > rounding:
            raise AssertionError(f"{name}: the projection of {w} is {z} in plain Python and {found} compiled.")


def check_solver(solver, problems=None, *, tol=1e-6) -> None:
    """Check that a solver refuses in words or solves, and leaves everything that it was lent.

    Parameters
    ----------
    solver : Solver
    problems : iterable of Problem, optional
        By default one of each kind that the package knows, so that some should be refused.
    tol : float, default 1e-6
        What the solver is asked to reach.

    Raises
    ------
    AssertionError
        With the problem and what failed on it.
    """
    parameters = getattr(type(solver), "__dataclass_params__", None)
    if parameters is None or not parameters.frozen:
        raise AssertionError(f"{type(solver).__name__} is not frozen; decorate the class with @dataclass(frozen=True).")
    problems = _problems() if problems is None else list(problems)
    taken = [problem for problem in problems if _is_taken(solver, problem)]
    if not taken:
        raise AssertionError(f"{solver!r} refuses all {len(problems)} problems; pass one that it takes.")
    for problem in taken:
        _check_run(solver, problem, tol)


def _problems():
    random = np.random.default_rng(0)
    X = random.standard_normal((40, 10))
    w = np.zeros(10)
    w[:3] = 1.0, -0.5, 0.25
    y = X @ w + 0.1 * random.standard_normal(40)
    sparse_X = sparse.csc_array(np.where(np.abs(X) > 0.5, X, 0.0))
    quadratic = Quadratic(X.T @ X / 40, -X.T @ y / 40)
    # under a penalty that is flat far from zero, labels that a plane separates have no minimiser
    inseparable = y + random.standard_normal(40) > 0
    return [
        Problem(LeastSquares(X, y), L1(0.1)),
        Problem(LeastSquares(X.astype(np.float32), y), L1(0.1)),
        Problem(LeastSquares(sparse_X, y, intercept=True), Ridged(L1(0.05), 0.1)),
        Problem(Logistic(X, y > 0, intercept=True), L1(0.05)),
        Problem(LeastSquares(X, y), MCP(0.1)),
        Problem(MultiResponse(X, np.column_stack([y, X[:, 3]]), intercept=True), L1(0.1)),
        Problem(Multinomial(X, y > 0), L1(0.05)),
        Problem(Cox(X, np.exp(-y), y < 1), L1(0.05)),
        Problem(LeastSquares(sparse_X, y, intercept=True), GroupLasso(0.1, 2)),
        Problem(Logistic(X, inseparable), GroupMCP(0.05, 5)),
        Problem(quadratic, L1(0.01), Box(-0.4, 0.4)),
        Problem(LeastSquares(X, y), constraint=Simplex()),
        Problem(LeastSquares(X, y), constraint=Cardinality(3)),
        Problem(quadratic, constraint=LinearConstraint(np.ones((1, 10)), 1.0, 1.0)),
    ]


def _is_taken(solver, problem):
    reason = solver.rejects(problem)
    if reason is None:
        return True
    if not (isinstance(reason, str) and len(reason.split()) >= 3):
        raise AssertionError(f"{solver!r} refuses {problem!r} with {reason!r}; give the reason in words.")
    try:
        solve(problem, solver)
    except UnsupportedProblem as refusal:
        if reason not in str(refusal):
            raise AssertionError(
                f"{solver!r} refuses {problem!r} with {reason!r}, but solve says {refusal}."
            ) from refusal
    return False


def _check_run(solver, problem, tol):
    name = f"{solver!r} on {problem!r}"
    p = problem.n_features
    lent, w0 = _bytes_of(problem), np.zeros(p)
    if problem.constraint is None:
        w0[::2] = 0.5
    spread = np.zeros(2 * p)[::2]
    spread[:] = w0
    w0.flags.writeable = False
    solution = solve(problem, solver, w0, tol=tol)
    if _bytes_of(problem) != lent:
        raise AssertionError(f"{name}: the run changed the problem's data.")
    if solution.status is not Status.CONVERGED:
        raise AssertionError(f"{name}: {solution!r}; {solution.status.value}")
    for way, start in (("the same start", w0), ("a strided start", spread), ("a float32 start", w0.astype(np.float32))):
        again = solve(problem, solver, start, tol=tol)
        if again.w.tobytes() != solution.w.tobytes():
            raise AssertionError(
                f"{name}: {way} ends {np.abs(again.w - solution.w).max():g} away from the first run; runs must repeat to the byte."
            )
    if (
        solution.w.dtype != problem.dtype
        or not np.all(np.isfinite(solution.w))
        or np.any((solution.w == 0.0) & np.signbit(solution.w))
    ):
        raise AssertionError(f"{name}: w must be finite {problem.dtype} without -0.0, got {solution.w}.")
    _check_certificate(name, problem, solution, tol)
    short = solve(problem, solver, w0, tol=0.0, max_iter=1)
    if short.iterations > 1:
        raise AssertionError(f"{name}: {short.iterations} iterations were made where one was allowed.")


def _check_certificate(name, problem, solution, tol):
    found = solution.certificate
    again = certify(
        problem,
        solution.w,
        lower_bound=found.lower_bound if found.proof == "bound" else -np.inf,
        duals=solution.duals,
        ray=found.ray,
    )
    if (again.objective, again.lower_bound, again.violation) != (found.objective, found.lower_bound, found.violation):
        raise AssertionError(f"{name}: the certificate {found!r} is not that of the returned w, {again!r}.")
    if found.violation > tol:
        raise AssertionError(f"{name}: w violates the constraint by {found.violation:g}.")
    if found.proof == "duality" and not found.relative_gap <= tol:
        raise AssertionError(
            f"{name}: the relative gap {found.relative_gap:g} exceeds {tol:g} although the run converged."
        )
    if needs_multipliers(problem) and found.proof == "kkt" and not found.dual_residual <= tol:
        raise AssertionError(
            f"{name}: the dual residual {found.dual_residual:g} exceeds {tol:g} although the run converged."
        )


def _bytes_of(value):
    """The bytes of all arrays that a term or problem holds."""
    match value:
        case np.ndarray():
            return value.tobytes()
        case sparse.sparray():
            return value.data.tobytes() + value.indices.tobytes() + value.indptr.tobytes()
        case tuple():
            return b"".join(map(_bytes_of, value))
        case _ if dataclasses.is_dataclass(value):
            return b"".join(_bytes_of(getattr(value, field.name)) for field in dataclasses.fields(value))
    return b""


def _check_frozen(term):
    if not (dataclasses.is_dataclass(term) and type(term).__dataclass_params__.frozen):
        raise AssertionError(f"{type(term).__name__} is not frozen; decorate the class with @dataclass(frozen=True).")


def _copied(term):
    """A copy made the way pickle makes one, which also works where pickle cannot find the class."""
    return copy.deepcopy(term)


def _compiled(term, function, *arguments):
    try:
        return function(*arguments)
    except CompilationError as fault:
        # numba's message opens with one such line for each call on the way to the fault
        opening = ("Failed in", "- Resolution", "During")
        lines = [line.strip() for line in str(fault).splitlines() if line.strip() and not line.startswith(opening)]
        place = next((line for line in lines if line.startswith("File")), "")
        raise AssertionError(
            f"{type(term).__name__} runs as plain Python but does not compile: {lines[0]} ({place}) Its methods may use fields, "
            "other methods, numbers, math, numpy functions of numbers, and functions and constants of a module."
        ) from fault


def _check_same(loss, name, found, expected, rounding):
    found, expected = np.asarray(found, dtype=np.float64), np.asarray(expected, dtype=np.float64)
    excess = np.abs(found - expected) - rounding
    if not np.all(excess <= 0.0):
        i = int(np.argmax(np.where(np.isnan(excess), np.inf, excess)))
        raise AssertionError(
            f"{type(loss).__name__}: {name} is {found.flat[i]:.12g}, but it should be {expected.flat[i]:.12g} (entry {i})."
        )
