"""Points of a loss on samples are proven to be what `examine` proves of them, from the same data."""

import numpy as np
import pytest
from scipy import sparse

import sparseopt as so
from sparseopt.conjugates import convex_form
from sparseopt.packed import FewNonzeros
from sparseopt.proofs.examination import examine_once
from sparseopt.proofs.several_samples import SampleLooks, examine_samples

RNG = np.random.default_rng(3)
N, P = 50, 400
THIN = sparse.random_array((N, P), density=0.05, rng=RNG, format="csc")
THIN.data += 1.0  # means that are not zero
DESIGNS = {"sparse": THIN, "dense": THIN.toarray()}
LABELS = RNG.choice([-1.0, 1.0], N)
LOSSES = {
    "logistic": (so.Logistic, LABELS),
    "huber": (so.Huber, RNG.standard_normal(N)),
    "poisson": (so.Poisson, RNG.poisson(1.5, N).astype(np.float64)),
}


def point_with(support):
    support = np.sort(np.asarray(support, dtype=np.intp))
    return FewNonzeros(P, support, RNG.uniform(-0.3, 0.3, support.size))


@pytest.mark.parametrize("intercept", [False, True])
@pytest.mark.parametrize("design", DESIGNS)
@pytest.mark.parametrize("loss", LOSSES)
def test_a_point_is_examined_as_any_point(loss, design, intercept):
    """Wherever the search for the intercept begins, and however many points are looked at together."""
    kind, y = LOSSES[loss]
    loss = kind(DESIGNS[design], y, RNG.uniform(0.5, 1.5, N), intercept=intercept, offset=0.2 * RNG.standard_normal(N))
    largest = so.alpha_max(loss)
    points = [point_with([7, 8]), point_with([3]), point_with(RNG.choice(P, 20, replace=False))]
    for batch in ([points[2]], points):
        looks = SampleLooks(loss).at(batch, RNG.standard_normal(len(batch)))
        for point, (look, slope) in zip(batch, looks, strict=True):
            term, w = so.Ridged(so.L1(0.4 * largest), 0.01), point.to_array()
            exact = examine_once(so.Problem(loss, term), w)
            found = examine_samples(loss, convex_form(term, P), point, look, slope)
            np.testing.assert_allclose(slope, exact.slope, rtol=0.0, atol=1e-9 * largest)
            assert found.objective == pytest.approx(exact.objective, rel=1e-12)
            assert found.bound == pytest.approx(exact.bound, rel=1e-8)
            assert look.intercept == pytest.approx(loss.intercept_at(w), abs=1e-7)


def test_an_intercept_that_has_not_settled_proves_nothing_here():
    loss = so.Logistic(THIN, LABELS, intercept=True)
    point = point_with([1, 2])
    ((look, slope),) = SampleLooks(loss).at([point], [0.0])
    form = convex_form(so.L1(0.1), P)
    assert examine_samples(loss, form, point, look, slope) is not None
    assert examine_samples(loss, form, point, look._replace(is_settled=False), slope) is None


@pytest.mark.parametrize("fault", [np.nan, np.inf])
def test_a_slope_that_is_no_number_proves_nothing(fault):
    loss = so.Logistic(THIN, LABELS)
    point = point_with([1, 2])
    ((look, slope),) = SampleLooks(loss).at([point], [0.0])
    slope[300] = fault
    with np.errstate(invalid="ignore"):
        found = examine_samples(loss, convex_form(so.L1(0.1), P), point, look, slope)
    assert found is None or not found.bound > 0.0


@pytest.mark.parametrize("loss", [so.Gamma, so.Poisson])
def test_the_objective_near_a_perfect_fit_of_single_precision_is_that_of_any_examination(loss):
    """It is the difference of much larger numbers, among them the logarithms of targets."""
    X = DESIGNS["dense"].astype(np.float32)
    point = FewNonzeros(P, np.array([7, 8, 30]), np.array([0.25, -0.125, 0.5]))  # numbers of single precision
    y = (1.01 * np.exp(X.astype(np.float64) @ point.to_array())).astype(np.float32)
    single = loss(X, y)
    term = so.L1(0.1 * so.alpha_max(single))
    ((look, slope),) = SampleLooks(single).at([point], [0.0])
    exact = examine_once(so.Problem(single, term), point.to_array())
    assert look.height == pytest.approx(single.evaluate(point.to_array()), rel=1e-12)
    assert examine_samples(single, convex_form(term, P), point, look, slope).objective == pytest.approx(
        exact.objective, rel=1e-12
    )
