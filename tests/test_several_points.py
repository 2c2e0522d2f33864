"""Points of few nonzeros are proven to be what `examine` proves of them, from the same data."""

import numpy as np
import pytest
from scipy import sparse

import sparseopt as so
from sparseopt.conjugates import convex_form
from sparseopt.forms import SeparableForm
from sparseopt.packed import FewNonzeros
from sparseopt.penalties import Boxed
from sparseopt.proofs import several_points
from sparseopt.proofs.examination import examine_once
from sparseopt.proofs.several_points import Looks, examine_few
from sparseopt.solvers.working.working_plan import distances

RNG = np.random.default_rng(11)
N, P = 60, 1500
SPARSE = sparse.random_array((N, P), density=0.02, rng=RNG, format="csc")
SPARSE.data += 1.0  # means that are not zero
DESIGNS = {
    "sparse": SPARSE,
    "dense": np.asfortranarray(RNG.standard_normal((N, P))),
    "float32": SPARSE.astype(np.float32),
    "one full row": sparse.vstack([SPARSE[:-1], np.ones((1, P))], format="csc"),
}
Y = np.asarray(SPARSE[:, :5].sum(axis=1)) + 0.3 * RNG.standard_normal(N) + 2.0
WEIGHTS = RNG.uniform(0.5, 1.5, P)
PENALTIES = {
    "lasso": so.L1,
    "elastic net": lambda alpha: so.Ridged(so.L1(alpha), 0.3),
    "adaptive": lambda alpha: so.Weighted(so.L1(alpha), WEIGHTS),
    "nonnegative": lambda alpha: so.Nonnegative(so.L1(alpha)),
    "boxed": lambda alpha: Boxed(so.L1(alpha), np.full(P, -0.5), np.full(P, 1.0)),
}


def point_with(support):
    support = np.sort(np.asarray(support, dtype=np.intp))
    return FewNonzeros(P, support, RNG.uniform(0.05, 0.45, support.size))


@pytest.mark.parametrize("intercept", [False, True])
@pytest.mark.parametrize("design", DESIGNS)
@pytest.mark.parametrize("penalty", PENALTIES)
def test_a_point_of_few_nonzeros_is_examined_as_any_point(penalty, design, intercept):
    loss = so.LeastSquares(DESIGNS[design], Y, RNG.uniform(0.5, 1.5, N), intercept=intercept)
    largest = so.alpha_max(loss, PENALTIES[penalty](1.0))
    points = [point_with([]), point_with([3]), point_with([700, 2, 9]), point_with(RNG.choice(P, 40, replace=False))]
    looks = Looks(loss).at(points)
    rounding = 1e-5 if design == "float32" else 1e-12
    for point, share in zip(points, (1.1, 0.5, 0.3, 0.01), strict=True):
        term = PENALTIES[penalty](share * largest)
        problem, w = so.Problem(loss, term), point.to_array()
        residual, slope = next(looks)
        exact = examine_once(problem, w)
        size = float(np.abs(loss.gradient(np.zeros(P))).max() + np.abs(exact.slope).max())
        np.testing.assert_allclose(slope, exact.slope, rtol=0.0, atol=rounding * size)
        found = examine_few(loss, convex_form(term, P), point, residual, slope)
        assert found.objective == pytest.approx(exact.objective, rel=rounding)
        assert found.bound == pytest.approx(exact.bound, rel=rounding, abs=rounding * exact.objective)
        form = convex_form(term, P)
        distance = form.subgradient_distance(w, exact.slope).max()
        assert found.distance == pytest.approx(distance, rel=rounding, abs=rounding * size)


def test_sums_over_rows_are_made_where_few_are_reached(monkeypatch):
    loss = so.LeastSquares(SPARSE, Y)
    looks = Looks(loss)
    monkeypatch.setattr(looks, "_by_columns", None)
    ((_, slope),) = looks.at([point_with([4])])
    assert slope.shape == (P,)


def test_a_point_that_reaches_most_rows_is_left_to_columns(monkeypatch):
    loss = so.LeastSquares(SPARSE, Y)
    monkeypatch.setattr(several_points, "_ROWS", 0.0)
    points = [point_with([4]), point_with([4, 8])]
    for point, (_, slope) in zip(points, Looks(loss).at(points), strict=True):
        np.testing.assert_allclose(slope, loss.gradient(point.to_array()), rtol=0.0, atol=1e-13)


@pytest.mark.parametrize("fault", [np.nan, np.inf])
def test_a_slope_that_is_no_number_proves_nothing(fault):
    loss = so.LeastSquares(SPARSE, Y)
    point = point_with([1, 2])
    ((residual, slope),) = Looks(loss).at([point])
    slope[1000] = fault
    with np.errstate(invalid="ignore"):
        found = examine_few(loss, convex_form(so.L1(0.1), P), point, residual, slope)
    assert found is None or not found.bound > 0.0


def test_what_holds_no_zero_or_may_stick_is_left_to_the_general_way():
    loss = so.LeastSquares(SPARSE, Y)
    point = point_with([1])
    ((residual, slope),) = Looks(loss).at([point])
    for term in (Boxed(so.L1(0.1), np.full(P, 0.1), np.full(P, 1.0)), so.L1(0.0)):
        assert examine_few(loss, convex_form(term, P), point, residual, slope) is None


def test_forms_of_equal_entries_take_no_memory_and_are_those_of_their_arrays():
    few, many = 1000, 1001
    for penalty in (so.L1(0.3), so.Ridged(so.L1(0.3), 0.2), so.Nonnegative(so.Ridged(so.L1(0.3), 0.2))):
        small, large = convex_form(penalty, few), convex_form(penalty, many)
        for name in ("a", "b", "lower", "upper"):
            assert vars(large)[name].strides == (0,)
            np.testing.assert_array_equal(vars(large)[name][:few], vars(small)[name])
        assert small.is_plain == large.is_plain


def test_distances_are_the_same_for_equal_entries_and_for_arrays_of_them():
    form = convex_form(so.L1(0.3), P)
    spread = SeparableForm(*(np.array(vars(form)[name]) for name in ("a", "b", "lower", "upper")))
    w, slopes = point_with(RNG.choice(P, 200, replace=False)).to_array(), RNG.standard_normal(P)
    w[::2] *= -1.0
    np.testing.assert_allclose(
        distances(None, form, w, slopes, None), distances(None, spread, w, slopes, None), rtol=1e-14, atol=1e-16
    )
