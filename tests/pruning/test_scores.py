"""Oracles of the scores: each formula on slopes by differences, or on matrices that are really inverted."""

import numpy as np
import pytest

from sparseopt.pruning import (
    EmpiricalFisher,
    FirstOrder,
    GradientMagnitude,
    Labels,
    Link,
    Magnitude,
    NumpyMLP,
    OptimalBrainDamage,
    OptimalBrainSurgeon,
    Random,
    Samples,
    Score,
    Scored,
    Wanda,
    WoodFisher,
    prune,
)

RNG = np.random.default_rng(0)
SHAPES = ((5, 4), (4, 3))
NETWORK = NumpyMLP(
    [RNG.standard_normal(shape) for shape in SHAPES],
    [RNG.standard_normal(4), RNG.standard_normal(3)],
    "tanh",
    "softmax",
)
X = RNG.standard_normal((40, 5))
Y = RNG.integers(0, 3, 40)
SAMPLES = Samples(X, Labels.of(Link.SOFTMAX, Y))
SCORES = [
    Magnitude(), Magnitude(order="smallest"), Random(), Random(seed=3), GradientMagnitude(), FirstOrder(), OptimalBrainDamage(),
    EmpiricalFisher(), OptimalBrainSurgeon(), WoodFisher(), Wanda(),
]  # fmt: skip


def slopes_by_differences(rows, h=1e-5):
    """Slope of each sample's cross entropy in each weight of each layer."""
    found = []
    for i, (n, m) in enumerate(SHAPES):
        slope = np.empty((len(rows), n, m))
        for j in np.ndindex(n, m):
            values = []
            for sign in (1, -1):
                weights = [weight.copy() for weight in NETWORK.weights]
                weights[i][j] += sign * h
                p = NumpyMLP(weights, NETWORK.biases, "tanh", "softmax").predict(X[rows])
                values.append(-np.log(p[np.arange(len(rows)), Y[rows]]))
            slope[(slice(None), *j)] = (values[0] - values[1]) / (2 * h)
        found.append(slope)
    return found


SLOPES = slopes_by_differences(np.arange(40))


def scores(score):
    return [score(stats) for stats in SAMPLES.stats(NETWORK)]


@pytest.mark.parametrize(
    ("score", "formula"),
    [
        (Magnitude(), lambda w, slopes: np.abs(w)),
        (Magnitude(order="smallest"), lambda w, slopes: -np.abs(w)),
        (GradientMagnitude(), lambda w, slopes: np.abs(slopes.mean(axis=0))),
        (FirstOrder(), lambda w, slopes: np.abs(w * slopes.mean(axis=0))),
        (EmpiricalFisher(), lambda w, slopes: w**2 * np.mean(slopes**2, axis=0) / 2),
    ],
    ids=lambda part: "formula" if callable(part) and not hasattr(part, "needs_labels") else repr(part),
)
def test_a_score_is_its_formula(score, formula):
    for found, weight, slopes in zip(scores(score), NETWORK.weights, SLOPES, strict=True):
        np.testing.assert_allclose(found, formula(weight, slopes), rtol=1e-4, atol=1e-9)


def test_wood_fisher_is_the_diagonal_of_an_inverse():
    for found, weight, slopes in zip(scores(WoodFisher(samples=30)), NETWORK.weights, SLOPES, strict=True):
        G = slopes[:30].reshape(30, -1)
        fisher = G.T @ G / 30
        fisher += fisher.trace() / len(fisher) * np.eye(len(fisher))
        expected = weight**2 / (2 * np.linalg.inv(fisher).diagonal().reshape(weight.shape))
        np.testing.assert_allclose(found, expected, rtol=1e-4)


def test_the_surgeon_inverts_a_kronecker_product():
    for found, stats in zip(scores(OptimalBrainSurgeon()), SAMPLES.stats(NETWORK), strict=True):
        parts = [Z.T @ Z / 40 for Z in (stats.inputs, stats.own_slopes)]
        damped = [part + 0.01 * part.trace() / len(part) * np.eye(len(part)) for part in parts]
        inverse = np.linalg.inv(np.kron(*damped)).diagonal().reshape(stats.weight.shape)
        np.testing.assert_allclose(found, stats.weight**2 / (2 * inverse), rtol=1e-9)


def test_the_brain_damage_has_the_hessian_of_gauss_and_newton():
    """The mean over labels that the network itself draws is the curvature of the cross entropy in the outputs."""
    many = Samples(np.tile(X, (500, 1)))
    p = NETWORK.predict(X)
    curvature = np.einsum("ni,ij->nij", p, np.eye(3)) - np.einsum("ni,nj->nij", p, p)
    for layer, stats in enumerate(many.stats(NETWORK)):
        jacobian = np.stack(
            [np.einsum("ni,no->nio", [*NETWORK.inputs(X)][layer], NETWORK.slopes(X, np.tile(row, (40, 1)))[layer]) for row in np.eye(3)]
        )  # fmt: skip
        expected = np.einsum("knio,nkl,lnio->io", jacobian, curvature, jacobian) / 40
        # 20000 draws, each of a square that is no larger than a few times its mean
        np.testing.assert_allclose(stats.fisher, expected, rtol=0.1)


def test_wanda_is_the_weight_times_the_size_of_its_input():
    found = scores(Wanda())[1]
    hidden = np.tanh(X @ NETWORK.weights[0] + NETWORK.biases[0])
    np.testing.assert_allclose(found, np.abs(NETWORK.weights[1]) * np.sqrt((hidden**2).mean(axis=0))[:, None])


@pytest.mark.parametrize("score", SCORES, ids=repr)
def test_every_score_prunes_with_and_without_a_refit(score):
    kwargs = {"sparsity": 0.5, "scope": "layer"}
    plain, refitted = (prune(NETWORK, X, Y, method=method, **kwargs) for method in (score, Scored(score, refit=True)))
    assert plain.mask == refitted.mask
    assert plain.mask.kept == 16
    assert prune(NETWORK, X, Y, method=score, refit="layer", **kwargs).model.weights[0].tolist() == (
        refitted.model.weights[0].tolist()
    )
    errors = [sum(layer.error for layer in run.layers) for run in (plain, refitted)]
    assert errors[1] < errors[0]
    assert plain.method == Scored(score)


@pytest.mark.parametrize("score", [score for score in SCORES if score.needs_labels], ids=repr)
def test_a_score_that_needs_labels_says_so(score):
    with pytest.raises(ValueError, match="needs y"):
        prune(NETWORK, X, sparsity=0.5, method=score)


def test_draws_differ_by_seed_and_layer_and_repeat():
    first, same, other = (prune(NETWORK, X, sparsity=0.5, method=Random(), random_state=s).mask for s in (0, 0, 1))
    assert first == same != other
    assert prune(NETWORK, X, sparsity=0.5, method=Random(seed=1)).mask != first


def test_a_score_of_ones_own_plugs_in():
    class FromTheLeft(Score):
        def __call__(self, stats):
            return -np.arange(stats.weight.size, dtype=float).reshape(stats.weight.shape)

    mask = prune(NETWORK, X, sparsity=0.75, method=FromTheLeft(), scope="layer").mask
    assert mask["weights_0"].ravel().tolist() == [True] * 5 + [False] * 15


def test_a_layer_at_several_places_sums_the_slopes_of_each_sample():
    """As a convolution: two places a sample, whose slopes add up before they are squared."""

    class Twice(NumpyMLP):
        def inputs(self, X):
            yield X.reshape(-1, 2)

        def outputs(self, X):
            return self.layers()[0](X.reshape(-1, 2)).reshape(len(X), 2, -1).sum(axis=1)

        def slopes(self, X, seeds):
            return [np.repeat(seeds, 2, axis=0)]

    network = Twice([RNG.standard_normal((2, 3))])
    rows = RNG.standard_normal((30, 4))
    targets = RNG.standard_normal((30, 3))
    stats = Samples(rows, Labels.of(Link.IDENTITY, targets)).stats(network)[0]
    error = network.outputs(rows) - targets
    slopes = np.einsum("ni,no->nio", rows.reshape(30, 2, 2).sum(axis=1), error)
    np.testing.assert_allclose(stats.gradient, slopes.mean(axis=0))
    np.testing.assert_allclose(stats.empirical_fisher, np.mean(slopes**2, axis=0))
    fisher = np.einsum("nij,nkl->ijkl", slopes, slopes).reshape(6, 6) / 30
    fisher += fisher.trace() / 6 * np.eye(6)
    expected = network.weights[0] ** 2 / (2 * np.linalg.inv(fisher).diagonal().reshape(2, 3))
    np.testing.assert_allclose(WoodFisher()(stats), expected)


@pytest.mark.parametrize(
    "mistake",
    [
        lambda: Magnitude(order="middle"),
        lambda: WoodFisher(samples=0),
        lambda: WoodFisher(damping=0),
        lambda: OptimalBrainSurgeon(damping=-1),
    ],
)
def test_wrong_knobs_of_scores_are_told_at_the_door(mistake):
    with pytest.raises(ValueError, match="give"):
        mistake()
