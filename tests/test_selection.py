"""Selection: folds by weights are folds by rows, criteria are their formulas, threads end together."""

import gc
import itertools
import math
import signal
import threading
import time
from dataclasses import replace

import numpy as np
import pytest
from scipy import sparse
from scipy.special import softmax
from sklearn.linear_model import LassoCV, LassoLarsIC
from sklearn.metrics import log_loss
from sklearn.model_selection import KFold, ShuffleSplit, StratifiedKFold

import sparseopt as so
from sparseopt.selection.rows import dealt
from sparseopt.threads import run_jobs

RNG = np.random.default_rng(7)
X = RNG.standard_normal((60, 12)) + 0.5 * RNG.standard_normal((60, 1))
Y = X[:, 0] - 2.0 * X[:, 3] + 0.5 * RNG.standard_normal(60) + 3.0
LABELS = np.where(Y + RNG.standard_normal(60) > 3.0, 1, -1)
WEIGHTS = RNG.random(60) + 0.1
MAKERS = {
    "least squares": lambda X, y, s: so.LeastSquares(X, y, s, intercept=True),
    "no intercept": so.LeastSquares,
    "csc": lambda X, y, s: so.LeastSquares(sparse.csc_array(np.where(np.abs(X) > 0.3, X, 0.0)), y, s, intercept=True),
    "huber": lambda X, y, s: so.Huber(X, y, s, intercept=True, delta=0.5),
    "logistic": lambda X, y, s: so.Logistic(X, np.sign(y - 3.0), s, intercept=True),
}
LOSS = so.LeastSquares(X, Y, intercept=True)
PROBLEM = so.Problem(LOSS)
PENALTIES = [so.L1(alpha) for alpha in so.alpha_grid(LOSS, 12, 1e-2)]
SPLITS = list(KFold(5).split(X))


@pytest.mark.parametrize("maker", MAKERS)
def test_a_fold_by_weights_is_a_fold_by_rows(maker):
    """Held-out rows are as good as absent, whatever they hold."""
    make = MAKERS[maker]
    whole = make(X, Y, WEIGHTS)
    penalties = [so.L1(alpha) for alpha in so.alpha_grid(whole, 6, 0.05)]
    found = so.cross_validate(so.Problem(whole), penalties, SPLITS, tol=1e-14)
    for k, (train, test) in enumerate(SPLITS):
        part, rest = make(X[train], Y[train], WEIGHTS[train]), make(X[test], Y[test], WEIGHTS[test])
        for j, solution in enumerate(so.path(so.Problem(part), penalties, tol=1e-14)):
            z = rest.X.matrix @ solution.w + solution.intercept
            loss = so.LeastSquares(z[:, None], rest.y, WEIGHTS[test]) if maker not in {"huber", "logistic"} else None
            error = loss.evaluate(np.ones(1)) if loss else np.average(rest.value(rest.y, z), weights=WEIGHTS[test])
            assert found.errors[k, j] == pytest.approx(error, rel=1e-8)
    np.testing.assert_allclose(found.fold_weights, [WEIGHTS[test].sum() / WEIGHTS.sum() for _, test in SPLITS])


def test_rows_without_weight_may_hold_anything():
    y = np.where(np.arange(60) < 50, Y, 1e9)
    weights = np.where(np.arange(60) < 50, WEIGHTS, 0.0)
    for loss in (so.LeastSquares, so.Huber):
        one = so.solve(so.Problem(loss(X, y, weights, intercept=True), so.L1(0.1)), tol=1e-12)
        other = so.solve(so.Problem(loss(X[:50], Y[:50], WEIGHTS[:50], intercept=True), so.L1(0.1)), tol=1e-12)
        np.testing.assert_allclose(one.w, other.w, atol=1e-8)
        assert one.certificate.relative_gap <= 1e-10


def test_the_folds_of_scikit_learn_give_its_choice():
    theirs = LassoCV(alphas=[penalty.alpha for penalty in PENALTIES], cv=KFold(5), tol=1e-12, max_iter=100_000).fit(
        X, Y
    )
    ours = so.cross_validate(PROBLEM, PENALTIES, KFold(5).split(X), tol=1e-12)
    np.testing.assert_allclose(2.0 * ours.errors.T, theirs.mse_path_, rtol=1e-6)
    assert ours.best_penalty.alpha == theirs.alpha_
    np.testing.assert_allclose(ours.solution.w, theirs.coef_, atol=1e-6)
    assert ours.solution.intercept == pytest.approx(theirs.intercept_, abs=1e-6)


def test_the_error_of_a_classifier_is_the_log_loss():
    loss = so.Logistic(X, LABELS, intercept=True)
    splits = list(StratifiedKFold(4).split(X, LABELS))
    ours = so.cross_validate(so.Problem(loss), [so.L1(0.05)], splits, tol=1e-10)
    for k, (train, test) in enumerate(splits):
        part = so.solve(so.Problem(so.Logistic(X[train], LABELS[train], intercept=True), so.L1(0.05)), tol=1e-10)
        probability = 1.0 / (1.0 + np.exp(-(X[test] @ part.w + part.intercept)))
        assert ours.errors[k, 0] == pytest.approx(log_loss(LABELS[test], probability), rel=1e-6)


def test_mean_and_standard_error_are_those_of_the_folds():
    found = so.cross_validate(PROBLEM, PENALTIES, 4)
    np.testing.assert_allclose(found.mean, found.errors.mean(axis=0))
    np.testing.assert_allclose(found.standard_error, found.errors.std(axis=0, ddof=1) / 2.0)
    assert found.best == np.argmin(found.mean)
    limit = found.mean[found.best] + found.standard_error[found.best]
    assert found.mean[found.one_standard_error] <= limit
    assert np.all(found.mean[: found.one_standard_error] > limit)
    assert found.solution is found.path[found.best]
    assert found.one_standard_error_penalty is PENALTIES[found.one_standard_error]
    assert found.one_standard_error_solution.support.size <= found.solution.support.size
    assert repr(found).startswith(f"CrossValidation(4 folds, best {found.best_penalty!r} with error ")


def test_one_split_has_no_standard_error():
    found = so.cross_validate(PROBLEM, PENALTIES, ShuffleSplit(1, random_state=0).split(X))
    assert found.errors.shape == (1, 12)
    assert np.all(np.isnan(found.standard_error))
    assert found.one_standard_error == found.best


def test_folds_depend_on_the_seed_and_not_on_the_threads():
    one, other, third = (so.cross_validate(PROBLEM, PENALTIES, 3, threads=threads) for threads in (1, 2, 4))
    assert one.errors.tobytes() == other.errors.tobytes() == third.errors.tobytes()
    assert one.path.w.tobytes() == other.path.w.tobytes()
    assert not np.array_equal(one.errors, so.cross_validate(PROBLEM, PENALTIES, 3, seed=1).errors)


def test_folds_can_be_numbers_masks_or_indices():
    number = np.arange(60) % 3
    pairs = [(np.flatnonzero(number != k), np.flatnonzero(number == k)) for k in range(3)]
    masks = [(number != k, number == k) for k in range(3)]
    wanted = so.cross_validate(PROBLEM, PENALTIES, pairs).errors
    for folds in (number, masks):
        assert so.cross_validate(PROBLEM, PENALTIES, folds).errors.tobytes() == wanted.tobytes()


def test_several_responses_and_classes_are_scored_by_row():
    Z = np.column_stack([Y, -Y, X[:, 1]])
    losses = [so.MultiResponse(X, Z, intercept=True), so.Multinomial(X, np.digitize(Y, [2.0, 4.0]), intercept=True)]
    for loss in losses:
        found = so.cross_validate(so.Problem(loss), [so.L1(0.1)], SPLITS, tol=1e-9)
        for k, (train, test) in enumerate(SPLITS):
            kept = np.isin(np.arange(60), train).astype(float)
            part = so.solve(so.Problem(replace(loss, sample_weight=kept), so.L1(0.1)), tol=1e-9)
            z = X[test] @ part.w + part.intercept
            is_classes = isinstance(loss, so.Multinomial)
            wanted = log_loss(loss.y[test], softmax(z, axis=1)) if is_classes else np.sum((Z[test] - z) ** 2) / 24
            assert found.errors[k, 0] == pytest.approx(wanted, rel=1e-6)


def test_every_fold_has_its_share_of_each_class():
    rare = np.where(np.arange(60) < 8, 1, -1)
    hand = dealt(so.Logistic(X, rare), 4, np.random.default_rng(0))
    assert np.bincount(hand).tolist() == [15] * 4
    assert np.bincount(hand[rare == 1]).tolist() == [2] * 4


def test_an_error_of_ones_own_is_given_what_was_held_out():
    seen = []

    def absolute(y, z, weights):
        seen.append((y.size, z.shape, weights.sum()))
        return float(weights @ np.abs(y - z))

    found = so.cross_validate(PROBLEM, PENALTIES[:2], 3, error=absolute, threads=1)
    assert found.errors.shape == (3, 2)
    assert all(item == (20, (20,), pytest.approx(1.0)) for item in seen)


@pytest.mark.parametrize("error", ["mse", lambda y, z, weights: np.nan, lambda y, z, weights: y - z, lambda *_: None])
def test_an_error_that_gives_no_number_is_named(error):
    with pytest.raises((TypeError, ValueError), match="error (must be a function|returned)"):
        so.cross_validate(PROBLEM, PENALTIES[:2], 3, error=error)


def test_cardinalities_can_be_compared():
    found = so.cross_validate(PROBLEM, [so.Cardinality(k) for k in range(5)], 5)
    assert found.best >= 2
    assert {0, 3} <= set(found.solution.support.tolist())


def test_x_is_shared_by_all_folds():
    fortran = np.asfortranarray(X)
    so.cross_validate(so.Problem(so.LeastSquares(fortran, Y, intercept=True)), PENALTIES, 3)
    loss = so.LeastSquares(fortran, Y, intercept=True)
    again = so.LeastSquares(loss.X, Y, WEIGHTS, intercept=True)
    assert again.X.values is loss.X.values is fortran


def test_the_time_limit_makes_a_comparison_shorter():
    found = so.cross_validate(PROBLEM, PENALTIES, 3, time_limit=0.0)
    assert found.errors.shape == (3, 1)
    assert found.penalties == (PENALTIES[0],)


def test_progress_counts_the_paths(capsys):
    so.cross_validate(PROBLEM, PENALTIES, 3, progress=True)
    assert "cross_validate: 4 of 4 paths, " in capsys.readouterr().err


@pytest.mark.parametrize(
    ("folds", "error", "message"),
    [
        (1, ValueError, "folds must be at least 2"),
        (61, ValueError, "folds = 61 exceeds the number of rows, 60"),
        (2.5, TypeError, "folds must be a number, an array"),
        ([], ValueError, "folds is empty"),
        ([np.arange(3)], TypeError, "a fold must be a pair"),
        ([(np.arange(3), np.array([60]))], ValueError, "indices below 60"),
        ([(np.arange(3), np.array([0.5]))], ValueError, "indices below 60"),
        (np.zeros(60), ValueError, "at least two folds"),
        (np.arange(59), ValueError, "of each of the 60 rows"),
    ],
    ids=str,
)
def test_wrong_folds_are_named(folds, error, message):
    with pytest.raises(error, match=message):
        so.cross_validate(PROBLEM, PENALTIES, folds)


def test_wrong_arguments_are_named():
    with pytest.raises(TypeError, match="problem must be a Problem, got LeastSquares"):
        so.cross_validate(LOSS, PENALTIES)
    quadratic = so.Problem(so.Quadratic(np.eye(2), np.ones(2)))
    with pytest.raises(TypeError, match="Quadratic is no mean over rows"):
        so.cross_validate(quadratic, PENALTIES)
    with pytest.raises(TypeError, match="stability_selection leaves rows out"):
        so.stability_selection(quadratic, PENALTIES)
    with pytest.raises(TypeError, match="penalties must be a sequence of penalties"):
        so.cross_validate(PROBLEM, so.L1(0.1), threads=2)
    with pytest.raises(ValueError, match="threads must be at least 1"):
        so.cross_validate(PROBLEM, PENALTIES, threads=0)
    weightless = so.Problem(so.LeastSquares(X, Y, np.where(np.arange(60) < 12, 0.0, 1.0)))
    with pytest.raises(ValueError, match="held-out part of fold 0 has no row with a positive weight"):
        so.cross_validate(weightless, PENALTIES, SPLITS)
    lonely = so.Problem(so.Logistic(X, np.arange(60) == 0, intercept=True))
    with pytest.raises(ValueError, match="training part of fold 0 has no row of the class 1.0, .* give fewer folds"):
        so.cross_validate(lonely, PENALTIES, SPLITS)


def test_criteria_are_their_formulas():
    path = so.path(PROBLEM, PENALTIES, tol=1e-10)
    found = so.information_criteria(path, LOSS, gamma=0.5)
    k, rss = path.support_sizes, np.array([np.sum((Y - LOSS.predict(solution.w)) ** 2) for solution in path])
    np.testing.assert_allclose(found.aic, 60 * np.log(rss / 60) + 2 * k)
    np.testing.assert_allclose(found.bic, 60 * np.log(rss / 60) + np.log(60) * k)
    ways = np.array([math.log(math.comb(12, size)) for size in k])
    np.testing.assert_allclose(found.ebic, found.bic + ways)
    assert found.degrees_of_freedom.tolist() == k.tolist()
    assert {0, 3} <= set(path[found.best_bic].support.tolist())
    assert k[found.best_ebic] <= k[found.best_bic] <= k[found.best_aic]
    assert repr(found).startswith(f"InformationCriteria(12 solutions: least AIC at {found.best_aic} with support ")


def test_criteria_of_subsets_know_how_many_columns_there_were():
    """Six of twelve columns are left by a screening; the search was among all twelve."""
    path = so.path(PROBLEM, [so.Cardinality(k) for k in range(6)])
    found = so.information_criteria(path, LOSS)
    assert found.degrees_of_freedom.tolist() == list(range(6))
    np.testing.assert_allclose(found.gic - found.deviance, np.arange(6) * np.log(np.log(60)) * np.log(12))
    assert {found.best_bic, found.best_ebic, found.best_gic} == {2}
    columns = np.array([0, 3, 1, 5, 7, 9])
    screened = so.LeastSquares(X[:, columns], Y, intercept=True)
    path = so.path(so.Problem(screened), [so.Cardinality(k) for k in range(6)])
    whole, part = so.information_criteria(path, screened, n_features=12), so.information_criteria(path, screened)
    ways = np.array([math.log(math.comb(12, k)) for k in range(6)])
    np.testing.assert_allclose(whole.ebic, whole.bic + 2 * ways)
    np.testing.assert_array_equal(whole.bic, part.bic)
    assert np.all(whole.gic[1:] > part.gic[1:])
    with pytest.raises(ValueError, match="n_features must be at least 6"):
        so.information_criteria(path, screened, n_features=5)


def test_supports_are_refitted_without_what_shrank_them():
    path = so.path(PROBLEM, [so.L1(alpha) for alpha in so.alpha_grid(LOSS, 6)])
    found = so.refitted(path, LOSS)
    assert found.terms == path.terms
    for before, after in zip(path, found, strict=True):
        columns = before.support
        np.testing.assert_array_equal(after.support, columns)
        design = np.column_stack([X[:, columns], np.ones(60)])
        np.testing.assert_allclose(after.w[columns], np.linalg.lstsq(design, Y, rcond=None)[0][:-1], atol=1e-5)
        assert after.certificate.relative_gap <= 1e-8
    assert np.all(found.explained >= path.explained - 1e-12)
    with pytest.raises(TypeError, match="path must be a Path"):
        so.refitted(PENALTIES, LOSS)
    with pytest.raises(ValueError, match="give its loss"):
        so.refitted(path, so.LeastSquares(X[:, :5], Y))


@pytest.mark.parametrize("criterion", ["aic", "bic"])
def test_a_known_variance_gives_the_criteria_of_scikit_learn(criterion):
    theirs = LassoLarsIC(criterion, noise_variance=0.25).fit(X, Y)
    # its alphas are where a column enters; just above, the column is still out
    path = so.path(PROBLEM, [so.L1(alpha * (1 + 1e-7)) for alpha in theirs.alphas_], tol=1e-12)
    ours = getattr(so.information_criteria(path, LOSS, noise_variance=0.25), criterion)
    constant = 60 * np.log(2 * np.pi * 0.25)
    np.testing.assert_allclose(ours[:-1] + constant, theirs.criterion_[:-1], rtol=1e-5)


def test_the_deviance_of_other_losses_is_twice_the_sum():
    loss = so.Logistic(X, LABELS, intercept=True)
    path = so.path(so.Problem(loss), [so.L1(alpha) for alpha in so.alpha_grid(loss, 4)])
    found = so.information_criteria(path, loss)
    np.testing.assert_allclose(found.deviance, [120 * loss.evaluate(solution.w) for solution in path])


def test_a_saturated_fit_is_never_chosen():
    """Without degrees of freedom for the variance, its logarithm would win by rounding."""
    thin = so.LeastSquares(X[:8], Y[:8], intercept=True)
    path = so.path(so.Problem(thin), [so.L1(0.5), so.L1(1e-9)], tol=1e-10)
    found = so.information_criteria(path, thin)
    assert path.support_sizes[1] >= 7
    assert np.isinf(found.bic[1])
    assert found.best_bic == found.best_aic == 0


def test_wrong_arguments_of_criteria_are_named():
    path = so.path(PROBLEM, PENALTIES[:2])
    with pytest.raises(TypeError, match="path must be a Path"):
        so.information_criteria(PENALTIES, LOSS)
    with pytest.raises(TypeError, match="only they have a likelihood"):
        so.information_criteria(path, so.Quadratic(np.eye(12), np.ones(12)))
    with pytest.raises(ValueError, match="12 coefficients and loss has 5 columns"):
        so.information_criteria(path, so.LeastSquares(X[:, :5], Y))
    with pytest.raises(ValueError, match=r"gamma must lie in \[0, 1\], got 2"):
        so.information_criteria(path, LOSS, gamma=2.0)
    with pytest.raises(ValueError, match="noise_variance belongs to LeastSquares"):
        so.information_criteria(path, so.Huber(X, Y), noise_variance=1.0)


def test_stability_finds_what_is_there():
    found = so.stability_selection(PROBLEM, PENALTIES[:6], pairs=10)
    assert found.probabilities.shape == (6, 12)
    assert found.support.tolist() == [0, 3]
    assert found.support_names == ("0", "3")
    assert np.all(np.isin(found.probabilities * 20, np.arange(21)))
    assert repr(found).startswith("StabilitySelection(2 of 12 columns stable at 0.75, at most ")


def test_halves_are_halves_by_rows():
    side = dealt(LOSS, 2, np.random.default_rng(0))
    wanted = np.mean(
        [
            so.path(so.Problem(so.LeastSquares(X[side == k], Y[side == k], intercept=True)), PENALTIES[:6], tol=1e-4).w
            != 0
            for k in (0, 1)
        ],
        axis=0,
    )
    found = so.stability_selection(PROBLEM, PENALTIES[:6], pairs=1)
    np.testing.assert_array_equal(found.probabilities, wanted)
    assert found.mean_selected == pytest.approx((found.probabilities > 0).sum(axis=1).max(), abs=4)


@pytest.mark.parametrize("penalty", [so.L1, lambda alpha: so.GroupLasso(alpha, 2)], ids=["L1", "rows"])
def test_a_column_is_stable_for_several_responses_where_it_is_for_any(penalty):
    loss = so.MultiResponse(X, np.column_stack([Y, X[:, 5]]), intercept=True)
    found = so.stability_selection(so.Problem(loss), [penalty(alpha) for alpha in (0.9, 0.5)], pairs=5)
    assert found.probabilities.shape == (2, 12)
    assert found.support_names == tuple(map(str, found.support))
    assert set(found.support.tolist()) <= {0, 3, 5}
    assert 0.0 < found.mean_selected <= 12.0


def test_stability_depends_on_the_seed_and_not_on_the_threads():
    one, other = (so.stability_selection(PROBLEM, PENALTIES, pairs=3, threads=threads) for threads in (1, 3))
    assert one.probabilities.tobytes() == other.probabilities.tobytes()
    assert not np.array_equal(
        one.probabilities, so.stability_selection(PROBLEM, PENALTIES, pairs=3, seed=1).probabilities
    )


@pytest.mark.parametrize(
    ("threshold", "worst", "unimodal"),
    [
        (0.6, 10 / 0.2, 10 / (2 * (0.2 - 0.01))),
        (0.75, 10 / 0.5, 10 / (2 * (0.5 - 0.01))),
        (0.9, 10 / 0.8, 10 * 4 * (0.1 + 0.01) / 1.02),
        (0.51, 10 / 0.02, np.nan),
    ],
)
def test_the_bounds_are_those_of_the_papers(threshold, worst, unimodal):
    """q = 100 of p = 1000 columns and 50 pairs; Shah and Samworth (2013), equations 3 and 8."""
    found = so.StabilitySelection((so.L1(1.0),), np.zeros((1, 1000)), 100.0, 50, threshold)
    assert found.error_bound == pytest.approx(worst)
    np.testing.assert_allclose(found.unimodal_error_bound, unimodal)


def test_noise_is_seldom_stable():
    """The bound holds on average over data without any signal."""
    false, bound = [], []
    for _ in range(10):
        loss = so.LeastSquares(RNG.standard_normal((40, 30)), RNG.standard_normal(40), intercept=True)
        penalties = [so.L1(alpha) for alpha in so.alpha_grid(loss, 3, 0.7)]
        found = so.stability_selection(so.Problem(loss), penalties, pairs=10, threshold=0.8)
        false.append(found.support.size)
        bound.append(found.error_bound)
    assert np.mean(false) <= np.mean(bound)


def test_wrong_thresholds_are_named():
    with pytest.raises(ValueError, match=r"threshold must lie in \(0.5, 1\], got 0.5"):
        so.stability_selection(PROBLEM, PENALTIES, threshold=0.5)
    with pytest.raises(ValueError, match="pairs must be at least 1"):
        so.stability_selection(PROBLEM, PENALTIES, pairs=0)


def test_adaptive_weights_are_those_of_zou_up_to_a_factor():
    pilot = np.array([4.0, -2.0, 0.0] + [1.0] * 9)
    problem = so.adaptive(so.Problem(LOSS, so.L1(0.1)), pilot, gamma=2.0, eps=1e-9)
    assert problem.penalty.penalty == so.L1(0.1)
    np.testing.assert_allclose(problem.penalty.weights[[0, 1, 3]], [1.0, 4.0, 16.0], rtol=1e-6)
    assert problem.penalty.weights[2] > 1e17


def test_the_adaptive_lasso_drops_what_the_lasso_hardly_uses():
    weak = so.Problem(LOSS, so.L1(0.03))
    lasso = so.solve(weak)
    assert lasso.support.size > 4
    second = so.solve(so.adaptive(weak, lasso))
    assert second.support.tolist() == [0, 3]
    np.testing.assert_allclose(second.w[[0, 3]], lasso.w[[0, 3]], atol=0.1)


def test_adaptive_weights_go_to_the_innermost_penalty():
    w = np.arange(12.0)
    ridged = so.adaptive(so.Problem(LOSS, so.Ridged(so.Nonnegative(so.L1(0.1)), 0.5)), w).penalty
    assert (ridged.beta, type(ridged.penalty), ridged.penalty.penalty.penalty) == (0.5, so.Nonnegative, so.L1(0.1))
    twice = so.adaptive(so.adaptive(so.Problem(LOSS, so.L1(0.1)), w), w).penalty
    np.testing.assert_allclose(twice.weights, ridged.penalty.penalty.weights**2)
    with pytest.raises(TypeError, match="adaptive weights belong to an L1 penalty, got MCP"):
        so.adaptive(so.Problem(LOSS, so.MCP(0.1)), w)
    with pytest.raises(ValueError, match="pilot has no nonzero coefficient"):
        so.adaptive(so.Problem(LOSS, so.L1(0.1)), np.zeros(12))


@pytest.mark.parametrize("penalty", [so.MCP(0.3), so.SCAD(0.3), so.LogSum(0.3)], ids=repr)
def test_reweighting_ends_in_a_stationary_point_of_the_penalty(penalty):
    problem = so.Problem(LOSS, penalty)
    found = so.reweighted(problem, tol=1e-10, rounds=50)
    assert found.status is so.Status.CONVERGED
    assert found.certificate.stationarity <= 1e-6
    assert found.certificate.proof == "stationarity"
    found.certificate.verify(problem)
    one = so.reweighted(problem, rounds=1, tol=1e-10)
    np.testing.assert_allclose(one.w, so.solve(so.Problem(LOSS, so.L1(0.3)), tol=1e-10).w, atol=1e-8)
    assert one.status is so.Status.ITERATION_LIMIT
    objectives = [so.reweighted(problem, rounds=rounds).certificate.objective for rounds in range(1, 6)]
    assert all(later <= earlier + 1e-6 for earlier, later in itertools.pairwise(objectives))


def test_reweighting_takes_several_responses():
    problem = so.Problem(so.MultiResponse(X, np.column_stack([Y, X[:, 5]]), intercept=True), so.MCP(0.3))
    apart = [so.reweighted(so.Problem(so.LeastSquares(X, y, intercept=True), so.MCP(0.3))).w for y in (Y, X[:, 5])]
    for w0 in (None, np.zeros((12, 2))):
        found = so.reweighted(problem, w0=w0)
        assert found.status is so.Status.CONVERGED
        np.testing.assert_allclose(found.w, np.column_stack(apart), atol=1e-5)
        found.certificate.verify(problem)


def test_reweighting_keeps_limits_and_names_what_it_cannot_do():
    assert so.reweighted(so.Problem(LOSS, so.MCP(0.1)), time_limit=0.0).status is so.Status.TIME_LIMIT
    with pytest.raises(TypeError, match="tangents of MCP, SCAD and LogSum, got L1"):
        so.reweighted(so.Problem(LOSS, so.L1(0.1)))
    with pytest.raises(ValueError, match="w0 contains NaN"):
        so.reweighted(so.Problem(LOSS, so.MCP(0.1)), w0=np.full(12, np.nan))


def test_jobs_come_back_in_their_order():
    jobs = [lambda i=i: time.sleep(0.02 * (4 - i)) or i for i in range(4)]
    assert run_jobs(jobs, 1) == run_jobs(jobs, 3) == [0, 1, 2, 3]


def test_a_job_that_fails_ends_the_others():
    def endless():
        while True:
            time.sleep(0.01)

    def failing():
        raise ZeroDivisionError("no")

    before = threading.active_count()
    with pytest.raises(ZeroDivisionError):
        run_jobs([endless, failing, endless], 2)
    assert threading.active_count() == before


def test_threads_that_end_late_end_quietly(monkeypatch):
    faults, before = [], threading.active_count()
    monkeypatch.setattr(threading, "excepthook", faults.append)

    def dawdle(frame, event, _):
        # on a busy machine another thread has its turn here
        if event == "return" and frame.f_code.co_name in ("run", "work", "_delete"):
            time.sleep(0.002)

    threading.setprofile(dawdle)
    try:
        for _ in range(20):
            assert run_jobs([lambda i=i: i for i in range(3)], 3) == [0, 1, 2]
            with pytest.raises(ZeroDivisionError):
                run_jobs([lambda: 1 / 0] * 3, 3)
    finally:
        threading.setprofile(None)
    assert not faults
    assert threading.active_count() == before


def test_jobs_see_the_error_state_of_the_caller():
    with np.errstate(divide="raise"), pytest.raises(FloatingPointError):
        run_jobs([lambda: np.ones(1) / np.zeros(1)] * 2, 2)


@pytest.mark.filterwarnings(
    "ignore:(?s)Exception ignored.*KeyboardInterrupt:pytest.PytestUnraisableExceptionWarning"
)  # a lost interrupt
@pytest.mark.parametrize("threads", [1, 2])
def test_ctrl_c_ends_all_folds(threads):
    wide = so.LeastSquares(RNG.standard_normal((200, 400)), RNG.standard_normal(200))
    problem, penalties = so.Problem(wide), [so.L1(1e-4 * 0.999**k) for k in range(100_000)]
    so.cross_validate(problem, penalties[:2], threads=threads, tol=1e-12)
    # a shell starts jobs in the background with the signal ignored
    usual = signal.signal(signal.SIGINT, signal.default_int_handler)
    ended, pressed = threading.Event(), []

    def press():
        # an interrupt that comes in a callback of a library (a loader, a collector) is lost: people press again
        while not ended.wait(0.3 if not pressed else 5.0):
            pressed.append(time.perf_counter())
            signal.raise_signal(signal.SIGINT)

    before, hand = threading.active_count(), threading.Thread(target=press)
    gc.disable()  # hypothesis has a callback in the collector, where an interrupt is lost
    hand.start()
    try:
        with pytest.raises(KeyboardInterrupt):
            so.cross_validate(problem, penalties, threads=threads, tol=1e-12, time_limit=60.0)
        stopped = time.perf_counter()
    finally:
        ended.set()
        gc.enable()
        signal.signal(signal.SIGINT, usual)
    hand.join()
    assert stopped - pressed[-1] < 2.0
    assert threading.active_count() == before
