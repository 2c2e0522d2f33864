import warnings

import numpy as np
import pytest
from scipy import sparse
from sklearn import linear_model
from sklearn.exceptions import ConvergenceWarning, NotFittedError
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.svm import SVC, LinearSVC
from sklearn.tree import DecisionTreeRegressor

from sparseopt.adapters.sklearn import adapt, apply
from sparseopt.mask import Mask
from sparseopt.pruning import NumpyMLP, prune

RNG = np.random.default_rng(0)
X = RNG.standard_normal((120, 6)) @ RNG.standard_normal((6, 6))
W = np.array([3.0, 0.0, -2.0, 0.0, 0.1, 0.0])
Y = X @ W + 5 + 0.1 * RNG.standard_normal(120)
KEPT = np.array([True, False, True, False, False, False])
REGRESSORS = [
    linear_model.LinearRegression(),
    linear_model.LinearRegression(fit_intercept=False),
    linear_model.Ridge(),
    linear_model.Lasso(alpha=0.1),
    linear_model.HuberRegressor(),
    linear_model.OrthogonalMatchingPursuit(n_nonzero_coefs=4),
]
CLASSIFIERS = [
    linear_model.LogisticRegression(),
    linear_model.LogisticRegression(fit_intercept=False),
    linear_model.SGDClassifier(random_state=0),
    LinearSVC(),
]


@pytest.mark.parametrize("model", REGRESSORS, ids=repr)
def test_a_masked_regression_predicts_with_the_kept_columns(model):
    model.fit(X, Y)
    before = model.coef_.copy()
    masked = apply(Mask({"coef_": KEPT}), model)
    assert type(masked) is type(model)
    np.testing.assert_allclose(masked.predict(X), X[:, KEPT] @ before[KEPT] + model.intercept_)
    assert np.array_equal(model.coef_, before)


@pytest.mark.parametrize("model", REGRESSORS, ids=repr)
def test_a_refit_is_least_squares_on_the_kept_columns(model):
    model.fit(X, Y)
    refitted = apply(Mask({"w": KEPT}), model, X, Y)
    columns = np.column_stack([X[:, KEPT], np.ones(120)]) if model.fit_intercept else X[:, KEPT]
    expected = np.linalg.lstsq(columns, Y)[0]
    np.testing.assert_allclose(refitted.coef_[KEPT], expected[:2], atol=1e-10)
    assert not refitted.coef_[~KEPT].any()
    assert refitted.intercept_ == pytest.approx(expected[2] if model.fit_intercept else 0.0, abs=1e-10)


def test_a_refit_minds_signs_weights_and_sparse_data():
    model = linear_model.LinearRegression(positive=True).fit(X, Y)
    sample_weight = RNG.random(120)
    mask = Mask({"coef_": KEPT})
    refitted = apply(mask, model, X, Y, sample_weight=sample_weight)
    expected = linear_model.LinearRegression(positive=True).fit(X[:, KEPT], Y, sample_weight)
    np.testing.assert_allclose(refitted.coef_[KEPT], expected.coef_)
    assert refitted.coef_.min() >= 0
    ridge = linear_model.Ridge().fit(X, Y)
    dense, thin = (apply(mask, ridge, data, Y) for data in (X, sparse.csr_array(X)))
    np.testing.assert_allclose(thin.coef_, dense.coef_, atol=1e-5)


def test_each_output_has_a_support_of_its_own():
    model = linear_model.LinearRegression().fit(X, np.column_stack([Y, -Y]))
    mask = Mask({"coef_": np.array([KEPT, np.zeros(6, bool)])})
    refitted = apply(mask, model, X, np.column_stack([Y, -Y]))
    assert refitted.coef_.shape == (2, 6)
    assert not refitted.coef_[1].any()
    assert refitted.intercept_[1] == pytest.approx(-Y.mean())


@pytest.mark.parametrize("labels", [(Y > 5).astype(int), np.digitize(Y, [2, 8])], ids=["two", "three"])
@pytest.mark.parametrize("model", CLASSIFIERS, ids=repr)
def test_masks_apply_to_linear_classifiers(model, labels):
    model.fit(X, labels)
    mask = Mask({"coef_": np.tile(KEPT, (len(model.coef_), 1))})
    masked = mask.apply(model)
    np.testing.assert_allclose(masked.coef_, model.coef_ * KEPT)
    np.testing.assert_allclose(mask.undo(masked, model).coef_, model.coef_)
    with pytest.raises(TypeError, match="no regression model"):
        apply(mask, model, X, labels)


def test_a_vector_masks_a_classifier_of_two_classes():
    model = linear_model.LogisticRegression().fit(X, Y > 5)
    assert Mask.of(KEPT.astype(float)).apply(model).coef_.shape == (1, 6)


def test_sparse_coefficients_become_dense():
    model = linear_model.LogisticRegression(C=0.1, l1_ratio=1, solver="liblinear").fit(X, Y > 5)
    dense = model.coef_.copy()
    masked = Mask({"coef_": KEPT[None]}).apply(model.sparsify())
    np.testing.assert_allclose(masked.coef_, dense * KEPT)


def test_pruning_a_linear_regression_finds_its_columns():
    model = linear_model.LinearRegression().fit(X, Y)
    pruned = prune(model, X, sparsity=0.6)
    assert pruned.mask == Mask({"coef_": KEPT})
    assert pruned.layers[0].error < 0.01
    assert pruned.model.coef_.shape == (6,)
    assert isinstance(pruned.model.intercept_, float)
    assert np.count_nonzero(model.coef_) == 6


def test_pruning_a_classifier_keeps_its_decisions():
    labels = np.digitize(Y, [2, 8])
    model = linear_model.LogisticRegression().fit(X, labels)
    pruned = prune(model, X, sparsity=0.5)
    assert np.count_nonzero(pruned.model.coef_) == 9
    assert pruned.mask["coef_"].shape == (3, 6)
    assert np.mean(pruned.model.predict(X) == model.predict(X)) > 0.95


@pytest.mark.parametrize("activation", ["identity", "logistic", "tanh", "relu"])
def test_the_adapter_sees_what_the_network_computes(activation):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        regressor = MLPRegressor(hidden_layer_sizes=(7, 5), activation=activation, max_iter=20, random_state=0).fit(
            X, Y
        )
        classifier = MLPClassifier((7,), activation=activation, max_iter=20, random_state=0).fit(X, Y > 5)
    for model in (regressor, classifier):
        network = adapt(model)
        *_, last = network.inputs(X)
        outputs = network.layers()[-1](last).ravel()
        expected = model.predict(X) if model is regressor else model.predict_proba(X)[:, 1]
        np.testing.assert_allclose(outputs if model is regressor else 1 / (1 + np.exp(-outputs)), expected)
        pruned = prune(model, X, sparsity=0.3)
        assert sum(map(np.count_nonzero, pruned.model.coefs_)) == pruned.mask.kept
        same = NumpyMLP(pruned.model.coefs_, pruned.model.intercepts_, network.matrices.activation)
        np.testing.assert_allclose(
            same.predict(X), adapt(pruned.model).layers()[-1]([*adapt(pruned.model).inputs(X)][-1])
        )


def test_single_precision_models_stay_so():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        model = MLPRegressor(hidden_layer_sizes=(4,), max_iter=3, random_state=0).fit(X.astype(np.float32), Y)
    pruned = prune(model, X.astype(np.float32), sparsity=0.5)
    assert {array.dtype for array in (*pruned.model.coefs_, *pruned.model.intercepts_)} == {np.dtype(np.float32)}


@pytest.mark.parametrize(
    ("mistake", "error", "message"),
    [
        (lambda fitted: apply(Mask({"coef_": KEPT[:5]}), fitted), ValueError, "must agree"),
        (lambda fitted: apply(Mask({"coef_": KEPT}), fitted, X), ValueError, "both or neither"),
        (lambda fitted: prune(fitted, X[:, :5], sparsity=0.5), ValueError, "6 columns"),
        (lambda fitted: prune(fitted, sparse.csr_array(X), sparsity=0.5), TypeError, "toarray"),
        (lambda _: prune(linear_model.Ridge(), X, sparsity=0.5), NotFittedError, "not fitted"),
        (lambda _: prune(DecisionTreeRegressor().fit(X, Y), X, sparsity=0.5), TypeError, "no coef_"),
        (lambda _: prune(SVC(kernel="linear").fit(X, Y > 5), X, sparsity=0.5), TypeError, "no coef_"),
    ],
)
def test_a_mistake_is_told_at_the_door(mistake, error, message):
    with pytest.raises(error, match=message):
        mistake(linear_model.LinearRegression().fit(X, Y))
