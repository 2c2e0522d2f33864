"""Features: scores by their definitions, the best subset by brute force, and models of scikit-learn on few columns."""

import itertools

import numpy as np
import pandas as pd
import pytest
from scipy import sparse
from sklearn.base import clone
from sklearn.datasets import load_diabetes, load_iris, load_wine
from sklearn.ensemble import RandomForestClassifier
from sklearn.feature_selection import RFE, mutual_info_classif, mutual_info_regression
from sklearn.linear_model import LinearRegression, LogisticRegression, lars_path
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.utils.estimator_checks import parametrize_with_checks

from sparseopt.adapters.sklearn.features import FeatureSelector
from sparseopt.mask import Mask
from sparseopt.pruning import prune
from sparseopt.pruning.best_subset import BestSubset, _searches
from sparseopt.pruning.clock import Clock
from sparseopt.pruning.feature_methods import (
    InformationGain,
    LassoFeatures,
    MutualInformation,
    RecursiveElimination,
    standardised,
)
from sparseopt.pruning.features import FeatureData, prune_features
from sparseopt.pruning.row_selection import RowSelection, many_selections

METHODS = [InformationGain(), MutualInformation(), RecursiveElimination(), LassoFeatures(), BestSubset()]
ids = {"ids": lambda method: type(method).__name__}

X, Y = load_diabetes(return_X_y=True)


def select(method, X, y, count, *, is_classes=False, estimator=None):
    return method.select(FeatureData(X, y, is_classes, estimator), count, Clock())


@parametrize_with_checks([FeatureSelector(), FeatureSelector(InformationGain())])
def test_the_selector_is_one_of_scikit_learn(estimator, check):
    check(estimator)


@pytest.mark.parametrize("method", METHODS, **ids)
def test_the_features_that_matter_are_found_among_noise(method):
    rng = np.random.default_rng(0)
    data = rng.standard_normal((400, 12))
    target = 3 * data[:, 2] - 2.5 * data[:, 7] + 2 * data[:, 9] + 0.3 * rng.standard_normal(400)
    regressor = prune_features(LinearRegression(), data, target, keep=3, method=method)
    assert np.flatnonzero(regressor.mask["features"]).tolist() == [2, 7, 9]
    labels = np.digitize(target, [-2.0, 2.0])
    classifier = prune_features(LogisticRegression(), data, labels, sparsity=0.75, method=method)
    assert np.flatnonzero(classifier.mask["features"]).tolist() == [2, 7, 9]


@pytest.mark.parametrize("method", METHODS, **ids)
def test_a_random_forest_is_fitted_on_the_kept_columns(method):
    data, labels = load_wine(return_X_y=True)
    forest = RandomForestClassifier(20, random_state=0)
    pruned = prune(forest, data[::2], labels[::2], sparsity=0.7, method=method, validation=(data[1::2], labels[1::2]))
    kept = pruned.mask["features"]
    assert kept.sum() == 3
    same = clone(forest).fit(data[::2][:, kept], labels[::2])
    assert np.array_equal(pruned.model.predict(data[1::2]), same.predict(data[1::2][:, kept]))
    assert pruned.quality == same.score(data[1::2][:, kept], labels[1::2])
    assert not hasattr(forest, "estimators_")
    assert repr(pruned).startswith("Pruned(Pipeline, 3 of 13")


def test_the_mask_applies_to_a_linear_model():
    mask = prune_features(LinearRegression(), X, Y, keep=4).mask
    model = LinearRegression().fit(X, Y)
    assert np.array_equal(mask.apply(model).coef_ != 0, mask["features"])


@pytest.mark.parametrize("k", [1, 3, 5])
def test_best_subset_without_a_ridge_is_the_best_of_all(k):
    """By brute force over the ten columns; and its proof closes."""
    found = select(BestSubset(ridges=0, proof_time=300), X, Y, k)

    def residual(columns):
        part = X[:, columns] - X[:, columns].mean(axis=0)
        return np.linalg.lstsq(part, Y - Y.mean())[1][0]

    best = min(itertools.combinations(range(10), k), key=residual)
    assert tuple(np.flatnonzero(found.kept)) == best
    assert found.certificate.relative_gap < 1e-5
    assert found.certificate.objective == pytest.approx(residual(best) / (2 * len(Y)), rel=1e-6)


def test_features_that_explain_only_together_are_found():
    """Growing one by one and exchanging one by one ends early here, for each of these seeds: it takes two at once."""
    for seed, k in ((2, 4), (5, 4), (7, 3), (12, 4), (23, 2), (24, 2)):
        rng = np.random.default_rng(seed)
        data = rng.standard_normal((40, 9)) @ rng.standard_normal((9, 9))
        target = data @ rng.standard_normal(9) + rng.standard_normal(40)
        data, target = data - data.mean(axis=0), target - target.mean()

        def residual(columns, data=data, target=target):
            return np.linalg.lstsq(data[:, columns], target)[1][0]

        best = min(itertools.combinations(range(9), k), key=residual)
        assert tuple(np.flatnonzero(select(BestSubset(ridges=0), data, target, k).kept)) == best


def test_a_large_ridge_keeps_what_correlates_most():
    found = select(BestSubset(ridges=1e6), X, Y, 3)
    correlation = [abs(np.corrcoef(column, Y)[0, 1]) for column in X.T]
    assert np.flatnonzero(found.kept).tolist() == sorted(np.argsort(correlation)[-3:])


def test_the_ridge_is_chosen_where_there_is_much_noise():
    """Twenty of forty strong, correlated columns among little data: shrinkage foresees better."""
    errors = {method: [] for method in (BestSubset(ridges=0), BestSubset())}
    for seed in range(6):
        rng = np.random.default_rng(seed)
        data = rng.standard_normal((400, 60)) + rng.standard_normal((400, 1))
        target = data[:, :20] @ np.full(20, 0.2) + 4 * rng.standard_normal(400)
        for method, error in errors.items():
            model = prune_features(LinearRegression(), data[:60], target[:60], keep=8, method=method).model
            error.append(np.mean((model.predict(data[60:]) - target[60:]) ** 2))
    plain, ours = (np.mean(error) for error in errors.values())
    assert ours < plain


@pytest.mark.parametrize("q", [1, 3])
def test_many_selections_at_once_are_those_one_by_one(q):
    rng = np.random.default_rng(q)
    grams, crosses = [], []
    for _ in range(6):
        A = rng.standard_normal((30, 9)) @ rng.standard_normal((9, 9))
        grams.append(A.T @ A / 30)
        crosses.append(grams[-1] @ rng.standard_normal((9, q)))
    together = many_selections(np.stack(grams), np.stack(crosses), 4)
    for gram, cross, support in zip(grams, crosses, together, strict=True):
        alone = np.flatnonzero(RowSelection(gram, cross).best(4, 0, 0).kept)
        assert support.tolist() == alone.tolist()


def test_scores_of_a_best_subset_are_what_each_feature_explains():
    found = select(BestSubset(ridges=0), X, Y, 4)
    kept, centred = np.flatnonzero(found.kept), Y - Y.mean()

    def residual(columns):
        return np.linalg.lstsq(X[:, columns] - X[:, columns].mean(axis=0), centred)[1][0]

    for j in range(10):
        with_j, without = np.union1d(kept, j), np.setdiff1d(kept, j)
        expected = residual(without) - residual(kept) if found.kept[j] else residual(kept) - residual(with_j)
        assert found.scores[j] == pytest.approx(expected, rel=1e-5)


def test_information_gain_is_the_entropy_that_goes():
    """By hand: a copy of the labels tells all, a coin nothing, a half of them a part."""
    labels = np.array(["a", "a", "b", "b"])
    columns = np.array([[1.0, 1.0, 1.0], [1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 0.0]])
    scores = InformationGain().scores(FeatureData(columns, labels, True))
    third = np.log(2) - 0.75 * -(np.log(1 / 3) / 3 + 2 / 3 * np.log(2 / 3))
    np.testing.assert_allclose(scores, [np.log(2), 0, third], atol=1e-12)


def test_information_gain_bins_numbers():
    scores = InformationGain(bins=5).scores(
        FeatureData(np.stack([np.arange(100.0), np.zeros(100)], 1), np.arange(100.0), False)
    )
    np.testing.assert_allclose(scores, [np.log(5), 0], atol=1e-12)


def test_mutual_information_is_that_of_scikit_learn():
    data, labels = load_iris(return_X_y=True)
    found = MutualInformation().scores(FeatureData(data, labels, True))
    assert np.array_equal(found, mutual_info_classif(data, labels, random_state=0))
    found = MutualInformation(neighbours=5).scores(FeatureData(X, Y, False))
    assert np.array_equal(found, mutual_info_regression(X, Y, n_neighbors=5, random_state=0))


@pytest.mark.parametrize("step", [1, 3, 0.2])
def test_recursive_elimination_is_that_of_scikit_learn(step):
    found = select(RecursiveElimination(step=step), X, Y, 4, estimator=LinearRegression())
    peer = RFE(LinearRegression(), n_features_to_select=4, step=step).fit(X, Y)
    assert np.array_equal(found.kept, peer.support_)


def test_lasso_features_are_the_first_on_the_path():
    data, target = standardised(FeatureData(X, Y, False))
    coefficients = lars_path(data, target, method="lasso")[2]
    order = np.argsort(np.argmax(coefficients != 0, axis=1), kind="stable")
    for k in (1, 3, 5):
        assert np.flatnonzero(select(LassoFeatures(points=2000), X, Y, k).kept).tolist() == sorted(order[:k])


@pytest.mark.parametrize("method", [method for method in METHODS if method != MutualInformation()], **ids)
def test_a_sparse_matrix_gives_what_it_gives_dense(method):
    rng = np.random.default_rng(3)
    counts = rng.poisson(0.3, (120, 15)).astype(float)
    labels = (counts[:, 1] + counts[:, 4] > counts[:, 7]).astype(int)
    options = {"keep": 3, "method": method}
    dense = prune_features(LogisticRegression(), counts, labels, **options)
    thin = prune_features(LogisticRegression(), sparse.csr_matrix(counts), labels, **options)
    assert set(np.flatnonzero(dense.mask["features"])) == {1, 4, 7}
    assert dense.mask == thin.mask


def test_choice_and_number_are_cross_validated_in_a_pipeline():
    data, labels = load_iris(return_X_y=True)
    pipeline = make_pipeline(FeatureSelector(InformationGain(), n_features_to_select=2), KNeighborsClassifier())
    assert cross_val_score(pipeline, data, labels).mean() > 0.93
    search = GridSearchCV(pipeline, {"featureselector__n_features_to_select": [1, 2, 3]}).fit(data, labels)
    assert search.best_score_ > 0.93


def test_names_of_columns_survive():
    frame = pd.DataFrame(X, columns=load_diabetes().feature_names)
    pruned = prune_features(LinearRegression(), frame, Y, keep=2)
    assert pruned.model[0].get_feature_names_out().tolist() == ["bmi", "s5"]
    assert pruned.model.predict(frame[:3]).shape == (3,)


def test_constant_and_equal_columns_do_no_harm():
    data = np.column_stack([X[:, 2], X[:, 2], np.ones(len(X)), X[:, 8]])
    for method in METHODS:
        kept = prune_features(LinearRegression(), data, Y, keep=3, method=method).mask["features"]
        assert kept.sum() == 3


@pytest.mark.parametrize("method", [method for method in METHODS if method != RecursiveElimination()], **ids)
def test_targets_or_features_that_do_not_vary_do_no_harm(method):
    """As in a fold that has one class alone."""
    data, constant = X[:30, :4], np.ones((30, 4))
    for features, target, is_classes in (
        (data, np.ones(30), False), (data, np.full(30, "a"), True), (constant, Y[:30], False),
        (data, np.ones((30, 2)), False), (data[:5], np.ones(5), False),
    ):  # fmt: skip
        assert select(method, features, target, 2, is_classes=is_classes).kept.sum() == 2


@pytest.mark.parametrize("method", [LassoFeatures(), BestSubset(), BestSubset(ridges=0.1)], **ids)
@pytest.mark.parametrize("as_given", [np.asarray, sparse.csc_matrix])
def test_units_do_not_matter(method, as_given):
    """A column in other units by far (population, say, beside rates) is no reason to take the others for constant."""
    units = np.array([1e13, 1e-9, 1.0, 1e100, 1e-100, 1.0, 1e5, 1.0, 1e-5, 1.0])
    plain, scaled = as_given(X), as_given(X * units)
    expected = select(method, plain, Y, 4).kept
    assert np.array_equal(select(method, scaled, Y, 4).kept, expected)


def test_a_column_of_one_large_number_is_constant():
    """Its mean has rounding, which is no variation."""
    data = np.column_stack([X[:, 2], np.full(len(X), 1e9 / 3), X[:, 8]])
    for form in (data, sparse.csc_matrix(data)):
        assert standardised(FeatureData(form, Y, False))[0][:, [1]].max() == 0


@pytest.mark.parametrize("size", [1e200, 1e-200])
@pytest.mark.parametrize("method", [LassoFeatures(), BestSubset()], **ids)
def test_targets_whose_squares_are_no_numbers_are_refused(method, size):
    with pytest.raises(ValueError, match="rescale"):
        select(method, X, Y * size, 2)
    assert select(InformationGain(), X, Y * size, 2).kept.sum() == 2


@pytest.mark.parametrize("method", METHODS, **ids)
def test_several_outputs_of_classes_share_the_features(method):
    rng = np.random.default_rng(0)
    data = rng.standard_normal((300, 8))
    labels = np.column_stack([data[:, 1] > 0, data[:, 6] > 0.3]).astype(int)
    forest = RandomForestClassifier(20, random_state=0)
    assert np.flatnonzero(select(method, data, labels, 2, is_classes=True, estimator=forest).kept).tolist() == [1, 6]


def test_whole_numbers_that_hardly_repeat_are_doubtful_classes():
    counts = np.round(Y).astype(int)
    with pytest.warns(UserWarning, match="give floats"):
        FeatureSelector(InformationGain()).fit(X, counts)
    FeatureSelector(InformationGain()).fit(X, counts.astype(float))
    FeatureSelector(InformationGain(), estimator=LinearRegression()).fit(X, counts)


def test_mutual_information_of_a_sparse_matrix():
    """Of counts by their values, as scikit-learn does; of other numbers as if the matrix were dense."""
    rng = np.random.default_rng(0)
    counts = rng.poisson(0.5, (150, 70)).astype(float)
    labels = (counts[:, 1] > counts[:, 68]).astype(int)
    found = MutualInformation().scores(FeatureData(sparse.csc_matrix(counts), labels, True))
    assert np.array_equal(found, mutual_info_classif(counts, labels, discrete_features=True, random_state=0))
    weights = counts * rng.uniform(0.5, 2, 70)
    for is_classes, target in ((True, labels), (False, weights[:, 1] - weights[:, 68])):
        thin = MutualInformation().scores(FeatureData(sparse.csc_matrix(weights), target, is_classes))
        dense = MutualInformation().scores(FeatureData(weights, target, is_classes))
        # the estimate adds noise of a ten-billionth, so that ties fall out at random
        assert set(np.argsort(-thin)[:2]) == set(np.argsort(-dense)[:2]) == {1, 68}


def test_elimination_compares_coefficients_whose_squares_are_no_numbers():
    estimator = LinearRegression()
    plain = select(RecursiveElimination(), X, Y, 4, estimator=estimator).kept
    assert np.array_equal(select(RecursiveElimination(), X, Y * 1e-200, 4, estimator=estimator).kept, plain)


def test_without_a_ridge_nothing_is_proven_of_dependent_columns():
    data = np.column_stack([X, X[:, 0] + X[:, 1]])
    found = select(BestSubset(ridges=0, proof_time=5), data, Y, 3)
    assert found.kept.sum() == 3
    assert found.certificate.relative_gap == np.inf
    assert select(BestSubset(ridges=1e-3, proof_time=300), data, Y, 3).certificate.relative_gap < 1e-5


def test_all_features_may_stay():
    for method in METHODS:
        assert prune_features(LinearRegression(), X, Y, sparsity=0, method=method).mask == Mask(
            {"features": np.ones(10, bool)}
        )


def test_bad_requests_say_what_to_give():
    with pytest.raises(ValueError, match="one of the two"):
        prune_features(LinearRegression(), X, Y, keep=3, sparsity=0.5)
    with pytest.raises(ValueError, match="from 1 to 10"):
        prune_features(LinearRegression(), X, Y, keep=11)
    with pytest.raises(ValueError, match="below 1"):
        prune_features(LinearRegression(), X, Y, sparsity=1)
    with pytest.raises(ValueError, match="NaN"):
        prune_features(LinearRegression(), np.where(X > 0.1, np.nan, X), Y, keep=3)
    with pytest.raises(TypeError, match="FeatureMethod"):
        prune_features(LinearRegression(), X, Y, keep=3, method="rfe")
    with pytest.raises(TypeError, match="BestSubset"):
        prune_features(KNeighborsClassifier(), X, Y > 140, keep=3, method=RecursiveElimination())
    with pytest.raises(ValueError, match="give one"):
        FeatureSelector(RecursiveElimination()).fit(X, Y)
    with pytest.raises(ValueError, match="pair"):
        prune_features(LinearRegression(), X, Y, keep=3, validation=X)
    for bad in ({"ridges": ()}, {"ridges": -1}, {"folds": 1}, {"proof_time": -1}):
        with pytest.raises(ValueError, match="give"):
            BestSubset(**bad)
    with pytest.raises(ValueError, match="bins"):
        InformationGain(bins=1)
    with pytest.raises(ValueError, match="step"):
        RecursiveElimination(step=0)


@pytest.mark.parametrize("is_sparse", [False, True])
def test_of_many_features_the_likely_ones_choose_the_ridge_and_all_may_be_kept(is_sparse):
    """More features than take part in the choice of the ridge; the one kept among them goes with y least of all alone."""
    rng = np.random.default_rng(0)
    wide = rng.standard_normal((80, 700))
    wide[np.abs(wide) < 1.0] = 0.0
    wide[:, 5] = wide[:, 4] + 0.2 * wide[:, 5]
    target = wide[:, 4] - wide[:, 5]
    target += 2 * wide[:, 6] * np.std(target)
    data = sparse.csr_array(wide) if is_sparse else wide
    pruned = prune_features(LinearRegression(), data, target, keep=3)
    assert np.flatnonzero(pruned.mask["features"]).tolist() == [4, 5, 6]
    fold = np.arange(80) % 4
    X = wide - wide.mean(axis=0)
    for search in _searches(X, target - target.mean(), 3, fold):
        assert search(0.1).size == 3
        assert search(0.1).max() < 700
