"""Laws of losses."""

from __future__ import annotations

import dataclasses

import numpy as np
from scipy import sparse

from sparseopt._jit import kernel
from sparseopt.conjugates import has_conjugate, loss_conjugate, sample_slopes, slope_scale
from sparseopt.losses import DualLoss, LeastSquares, Quadratic, SampleLoss
from sparseopt.testing.comparisons import ROUNDING, check_frozen, check_same, compiled, copied


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
    check_frozen(loss)
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
            _check_at_once(loss, w)
            _check_curvature(loss, w)
            _check_conjugate(loss, w)
            _check_intercept(loss, w)
            _check_repetition(loss, w, random)
    _check_storage(loss, points)
    check_same(
        loss, "the gradient of a copy, as by pickle,", copied(loss).gradient(points[1]), loss.gradient(points[1]), 0.0
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
        rounding = ROUNDING * (abs(height) + abs(height + rise) + abs(t * slope))
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
        check_same(
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


def _check_at_once(loss, w):
    """Values and slopes that are computed together are those that are computed one by one."""
    if not isinstance(loss, SampleLoss):
        return
    y, z = loss.y.astype(np.float64), loss.predict(w.astype(np.float64))
    apart = loss.value(y, z), loss.slope(y, z)
    for name, found, expected in zip(("value", "slope"), loss.value_and_slope(y, z), apart, strict=True):
        check_same(loss, f"the {name} in value_and_slope", found, expected, 1e-12 * (1.0 + np.abs(expected)))


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
        check_same(loss, f"hessian, column {j},", found[:, place], slopes, 1e-6 * np.max(size))


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
                check_same(loss, "the conjugate of the slope", value, least, rounding)


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
        bend = compiled(loss, images, loss, w, d, eta, u, slope, image)
        check_same(loss, f"forward {way}", eta, loss.image(w), eps * np.abs(loss.image(w)).max(initial=0.0))
        check_same(loss, f"backward {way}", slope, loss.gradient(w.astype(np.float64)), rounding)
        expected = loss.bend_from(loss.image(w), u, d, loss.image(d))
        check_same(loss, f"bend_from {way}", bend, expected, eps * abs(expected))
        compiled(loss, moves, loss, w, loss.start(np.zeros_like(w)), slopes)
        check_same(loss, f"coordinate_slope after moves, {way},", slopes, loss.gradient(w.astype(np.float64)), rounding)


def _check_restriction(loss, w):
    for columns in (np.arange(0, w.size, 2), np.arange(0)):
        part = np.zeros_like(w)
        part[columns] = w[columns]
        rounding = 1e3 * np.finfo(loss.dtype).eps * (abs(loss.evaluate(part)) + abs(loss.evaluate(np.zeros_like(w))))
        name = f"the value of restrict({columns.tolist()})"
        check_same(loss, name, loss.restrict(columns).evaluate(w[columns]), loss.evaluate(part), rounding)


def _check_intercept(loss, w):
    """The fitted values are X w + b, and no other b is better."""
    w = w.astype(np.float64)
    z = loss.offset.added_to(loss.X.matrix @ w + loss.intercept_at(w))
    eps = 1e3 * np.finfo(loss.dtype).eps
    check_same(loss, "predict", loss.predict(w), z, eps * (np.abs(z) + np.abs(loss.y).max()))
    slopes = loss.sample_weight.values * (z - loss.y if isinstance(loss, LeastSquares) else loss.slope(loss.y, z))
    if loss.intercept:
        check_same(
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
    check_same(loss, "the value with weights", weighted.evaluate(w), repeated.evaluate(w), rounding)
    check_same(
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
        check_same(
            loss, f"the gradient with {name} in the other storage", other.gradient(w), loss.gradient(w), rounding
        )
        check_same(loss, f"coordinate_slope with {name} in the other storage", slopes, loss.gradient(w), rounding)
