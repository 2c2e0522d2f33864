"""Runs whose time is up on the way: they end soon, and say so."""

import numpy as np
import pytest
from sklearn.linear_model import LinearRegression

from sparseopt.pruning import (
    Adam,
    Clock,
    LayerwiseL0,
    Magnitude,
    NetworkL0,
    NumpyMLP,
    PruningStatus,
    RecursiveElimination,
    layerwise,
    prune,
    prune_features,
)
from sparseopt.pruning.layerwise import elimination_scores
from sparseopt.pruning.reconstruction import Reconstruction

RNG = np.random.default_rng(0)
X = RNG.standard_normal((300, 150))
NETWORK = NumpyMLP([RNG.standard_normal((150, 400)) / 12, RNG.standard_normal((400, 3)) / 20])


class Counted(Clock):
    """Time that is up after so many looks at it."""

    def __init__(self, looks):
        object.__setattr__(self, "limit", 1.0)
        object.__setattr__(self, "left", [looks])

    @property
    def seconds(self):
        self.left[0] -= 1
        return 0.0 if self.left[0] >= 0 else 2.0


def test_one_large_layer_does_not_outlast_the_limit(monkeypatch):
    """The elimination goes from output to output, and looks at the clock before each."""
    eliminated, inner = [], layerwise.elimination

    def elimination(inverse, w):
        eliminated.append(w.size)
        return inner(inverse, w)

    monkeypatch.setattr(layerwise, "elimination", elimination)
    pruned = prune(NETWORK, X, sparsity=0.8, time_limit=1e-9)
    assert pruned.status is PruningStatus.TIME_LIMIT
    assert pruned.mask.kept == 12240
    assert not eliminated
    assert prune(NETWORK, X, sparsity=0.8).status is PruningStatus.DONE
    assert len(eliminated) == 403


@pytest.mark.parametrize("method", [LayerwiseL0(), NetworkL0(rounds=1)], ids=repr)
def test_all_layers_have_the_clock_of_the_run(method, monkeypatch):
    """Also those that read what other layers give."""
    limits, inner = [], LayerwiseL0.fit_moments

    def fit_moments(self, metric, layer, kept, moments):
        limits.append(moments.clock.limit)
        return inner(self, metric, layer, kept, moments)

    monkeypatch.setattr(LayerwiseL0, "fit_moments", fit_moments)
    network = NumpyMLP([RNG.standard_normal(shape) for shape in ((6, 5), (5, 4), (4, 3))])
    prune(network, X[:, :6], sparsity=0.5, method=method, time_limit=60.0)
    assert limits == [60.0] * 3


@pytest.mark.parametrize("looks", [0, 1, 2, 5])
def test_outputs_that_are_left_are_scored_by_an_upper_bound_of_their_losses(looks):
    weight = NETWORK.weights[0][:, :6]
    layer = NumpyMLP([weight]).layers()[0]
    regression = Reconstruction.of(X, layer(X), layer, 0.01)
    exact = elimination_scores(regression, weight)
    hurried = elimination_scores(Reconstruction(**{**vars(regression), "clock": Counted(looks)}), weight)
    done = max(looks - 1, 0)
    np.testing.assert_array_equal(hurried[:, :done], exact[:, :done])
    alone = weight[:, done:] ** 2 * regression.gram.diagonal()[:, None] / 2
    np.testing.assert_allclose(hurried[:, done:], alone)
    # what is first to go is the cheapest with the others adjusted
    assert (hurried[:, done:].min(axis=0) >= exact[:, done:].min(axis=0)).all()


@pytest.mark.parametrize("looks", [0, 3])
def test_outputs_without_time_for_a_fit_keep_their_old_weights(looks):
    layer = NumpyMLP([NETWORK.weights[0][:, :6]]).layers()[0]
    kept = abs(layer.weight) > np.median(abs(layer.weight))
    moments = Reconstruction.of(X, layer(X), layer, 0.01)
    method = LayerwiseL0(sweeps=0, exchanges=0)
    whole, _ = method.fit_moments(None, layer, kept, moments)
    hurried, found = method.fit_moments(None, layer, kept, Reconstruction(**{**vars(moments), "clock": Counted(looks)}))
    np.testing.assert_array_equal(found, kept)
    np.testing.assert_array_equal(hurried.weight[:, :looks], whole.weight[:, :looks])
    np.testing.assert_array_equal(hurried.weight[:, looks:], np.where(kept, layer.weight, 0)[:, looks:])


def test_a_training_that_was_cut_short_is_no_run_that_came_to_its_end():
    pruned = prune(NETWORK, X, sparsity=0.8, method=Magnitude(), refit=Adam(epochs=100_000), time_limit=0.1)
    assert pruned.status is PruningStatus.TIME_LIMIT
    assert "raise time_limit" in pruned.reason


def test_a_run_that_left_nothing_out_is_done():
    """A score without a refit has nothing that a limit could cut."""
    assert prune(NETWORK, X, sparsity=0.8, method=Magnitude(), time_limit=1e-9).status is PruningStatus.DONE


def test_recursive_elimination_ends_with_the_fit_that_it_is_at():
    fits = []

    class Fitted(LinearRegression):
        def fit(self, *arguments):
            fits.append(1)
            return super().fit(*arguments)

    y = X[:, :5].sum(axis=1)
    pruned = prune_features(Fitted(), X, y, keep=5, method=RecursiveElimination(), time_limit=1e-9)
    assert pruned.mask.kept == 5
    assert pruned.mask["features"][:5].all()
    assert len(fits) == 2  # one to weigh all features, one on those that stay
