"""Samples and layers as they may come: in pieces, in units of their own, without any movement."""

import numpy as np
import pytest
from sklearn.linear_model import LinearRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import sparseopt as so
from sparseopt.pruning import (
    ActivationMagnitude,
    AlternatingDirections,
    LayerwiseBranchAndBound,
    LayerwiseHardThresholding,
    LayerwiseL0,
    LayerwiseL1,
    NumpyMLP,
    SparseGPT,
)
from sparseopt.pruning.networks import Layer
from sparseopt.pruning.reconstruction import Reconstruction

RNG = np.random.default_rng(0)
X = RNG.standard_normal((80, 6))
NETWORK = NumpyMLP(
    [RNG.standard_normal((6, 5)), RNG.standard_normal((5, 2))], [RNG.standard_normal(5), RNG.standard_normal(2)]
)
METHODS = (
    LayerwiseL0(), AlternatingDirections(), LayerwiseHardThresholding(), LayerwiseL1(), SparseGPT(),
    ActivationMagnitude(), LayerwiseBranchAndBound(seconds=0.1),
)  # fmt: skip


@pytest.mark.parametrize("method", METHODS, ids=lambda method: type(method).__name__)
def test_the_mask_of_a_linear_model_does_not_depend_on_units(method):
    """In metres or in nanometres: powers of two, so that the fitted models are the same but for the units."""
    units = 2.0 ** np.array([-26, 13, 0, -13, 26, 3])
    weights = np.array([3, 2, 1.5, 0.2, 0.1, 0.15])
    model = LinearRegression().fit(X, X @ weights)
    model.coef_, scaled = weights.copy(), LinearRegression().fit(X, X @ weights)
    scaled.coef_, scaled.intercept_ = weights / units, model.intercept_
    found, other = (
        so.prune(model, X, sparsity=0.5, method=method),
        so.prune(scaled, X * units, sparsity=0.5, method=method),
    )
    assert found.mask["coef_"].ravel().tolist() == [True] * 3 + [False] * 3
    assert found.mask == other.mask
    assert other.model.coef_ * units == pytest.approx(found.model.coef_, rel=1e-5)
    assert other.model.intercept_ == pytest.approx(found.model.intercept_, rel=1e-5, abs=1e-5)


def test_the_damping_in_units_of_the_inputs_leaves_a_weight_where_an_input_is_constant():
    inputs = np.column_stack([X[:, :2] * [1e6, 1e-6], np.full(80, 0.1)])
    layer = Layer("coef_", np.array([[1e-6], [1e6], [2.0]]), np.zeros(1), own_units=True)
    found = Reconstruction.of(inputs, layer(inputs), layer, 0.01)
    assert found.alive.tolist() == [True, True, False]
    assert found.damping[:2] == pytest.approx(0.01 * inputs[:, :2].var(axis=0))
    assert found.refit(np.ones((3, 1), bool)) == pytest.approx(layer.weight)


def test_small_damping_in_units_of_the_inputs_grows_only_where_inputs_depend_on_each_other():
    layer = Layer("coef_", np.ones((2, 1)), own_units=True)
    inputs = X[:, :2] * [1e7, 1e-7]
    assert Reconstruction.of(inputs, layer(inputs), layer, 1e-15).damping == pytest.approx(
        1e-15 * np.square(inputs).mean(axis=0)
    )
    inputs = X[:, :1] * [1e7, 1e-7]
    found = Reconstruction.of(inputs, layer(inputs), layer, 1e-40)
    assert np.all(found.damping <= 1e-8 * found.gram.diagonal())
    assert (inputs @ found.refit(np.ones((2, 1), bool))) == pytest.approx(layer(inputs), rel=1e-4)


@pytest.mark.parametrize("method", METHODS, ids=lambda method: type(method).__name__)
@pytest.mark.parametrize("samples", [X[:1], np.zeros((9, 6))], ids=["one sample", "zeros"])
def test_no_layer_is_emptied_where_nothing_moves(method, samples):
    """One sample gives each layer the same inputs throughout; what it puts out there stays."""
    pruned = so.prune(NETWORK, samples, sparsity=0.5, method=method)
    assert all(count.kept >= 1 for count in pruned.mask.counts.values())
    assert all(
        np.all(np.where(kept, 0, weight) == 0)
        for kept, weight in zip(pruned.mask.values(), pruned.model.weights, strict=True)
    )
    assert pruned.model.outputs(samples) == pytest.approx(NETWORK.outputs(samples))


@pytest.mark.parametrize(
    ("samples", "kind", "words"),
    [
        ((row for row in X), TypeError, "X is of type generator, .*; join them into one array"),
        (iter(X), TypeError, "X is of type iterator"),
        ([X[:5], X[5:9]], ValueError, "samples of X differ in shape"),
    ],
    ids=["generator", "iterator", "ragged"],
)
def test_samples_in_pieces_are_refused(samples, kind, words):
    with pytest.raises(kind, match=words):
        so.prune(NETWORK, samples, sparsity=0.5)


def test_targets_in_pieces_are_refused():
    with pytest.raises(TypeError, match="y is of type generator"):
        so.prune(NETWORK, X, (row for row in X[:, :2]), sparsity=0.5)


def test_what_cannot_be_changed_in_place_is_refused_before_the_work():
    class Never(LayerwiseL0):
        def scores(self, network, samples):
            raise AssertionError

    for model in (NETWORK, [np.eye(6)]):
        with pytest.raises(TypeError, match="cannot be changed in place; take the new one"):
            so.prune(model, X, sparsity=0.5, method=Never(), inplace=True)


def test_a_pipeline_is_told_what_to_give():
    pipeline = make_pipeline(StandardScaler(), LinearRegression()).fit(X, X[:, 0])
    with pytest.raises(TypeError, match=r"of a pipeline p, give p\[-1\] and p\[:-1\].transform\(X\)"):
        so.prune(pipeline, X, sparsity=0.5)
    assert so.prune(pipeline[-1], pipeline[:-1].transform(X), sparsity=0.8).mask.kept == 1
