"""Neurons: the best group by brute force, and networks that are really smaller."""

import itertools
import pickle

import numpy as np
import pytest
from sklearn.datasets import load_diabetes, load_digits
from sklearn.neural_network import MLPClassifier, MLPRegressor

from sparseopt.pruning import NumpyMLP, Samples, prune
from sparseopt.pruning.hidden_layers import HiddenLayer
from sparseopt.pruning.neuron_methods import (
    ActivationEntropy,
    ActivationSparsity,
    ActivationVariance,
    Contribution,
    IncomingNorm,
    OutgoingNorm,
    RandomNeurons,
)
from sparseopt.pruning.neurons import GroupSelection, kept_neurons, prune_neurons
from sparseopt.pruning.row_selection import RowSelection

SCORES = [
    RandomNeurons(),
    Contribution(),
    ActivationSparsity(),
    ActivationVariance(),
    ActivationEntropy(),
    ActivationEntropy(bins=5),
    OutgoingNorm(),
    IncomingNorm(),
]
METHODS = [*SCORES, GroupSelection()]

X, Y = load_digits(return_X_y=True)
X = X / 16


def mlp(sizes, seed=0, has_bias=True, **options):
    rng = np.random.default_rng(seed)
    weights = [rng.standard_normal(shape) for shape in itertools.pairwise(sizes)]
    return NumpyMLP(weights, [rng.standard_normal(size) for size in sizes[1:]] if has_bias else None, **options)


def rows(p=7, q=3, seed=0):
    rng = np.random.default_rng(seed)
    A = rng.standard_normal((50, p)) @ rng.standard_normal((p, p))
    gram = A.T @ A / 50
    return RowSelection(gram, gram @ rng.standard_normal((p, q)))


def loss(selection, support):
    """What the rows outside of the support would have gained."""
    support = list(support)

    def least(rows):
        return -np.sum(
            selection.cross[rows] * np.linalg.solve(selection.gram[np.ix_(rows, rows)], selection.cross[rows])
        )

    return (least(support) - least(list(range(len(selection.gram))))) / 2


@pytest.fixture(scope="module")
def digits():
    return MLPClassifier((24, 12), learning_rate_init=5e-3, max_iter=40, tol=1e-2, random_state=0).fit(
        X[:1200], Y[:1200]
    )


@pytest.mark.parametrize("q", [1, 3, 11])
def test_the_chosen_rows_are_the_best_of_all_or_nearly(q):
    """Seven rows by brute force; 11 responses are more than rows and are reduced to seven in the certificate."""
    excess = []
    for seed, k in itertools.product(range(4), (2, 4)):
        selection = rows(q=q, seed=seed)
        choice = selection.best(k, kicks=4, proof_time=5)
        assert choice.kept.sum() == k
        found = loss(selection, np.flatnonzero(choice.kept))
        assert choice.certificate.objective == pytest.approx(found, rel=1e-6)
        excess.append(found / min(loss(selection, support) for support in itertools.combinations(range(7), k)) - 1)
    assert np.mean(np.array(excess) < 1e-6) >= 0.9
    assert max(excess) < 0.2


def test_after_the_exchanges_no_exchange_of_rows_helps():
    for seed in range(10):
        selection = rows(p=8, seed=seed)
        support = selection.exchanged(np.array([0, 3, 5]))
        found = loss(selection, support)
        assert found <= loss(selection, [0, 3, 5])
        for out, into in itertools.product(support, set(range(8)) - set(support)):
            assert loss(selection, sorted((set(support) - {out}) | {into})) >= found * (1 - 1e-9)


def test_each_eliminated_row_is_the_cheapest_and_its_loss_exact():
    selection = rows()
    order, losses = selection.elimination
    left = list(range(7))
    for j, cost in zip(order[:-1], losses[:-1], strict=True):
        costs = [loss(selection, set(left) - {i}) - loss(selection, left) for i in left]
        assert cost == pytest.approx(min(costs), rel=1e-6)
        assert left[int(np.argmin(costs))] == j
        left.remove(j)
    assert sorted(order) == list(range(7))


def test_a_single_response_is_proven_best():
    choice = rows(q=1).best(3, kicks=0, proof_time=300)
    assert choice.certificate.relative_gap < 1e-5


@pytest.mark.parametrize("method", METHODS, ids=repr)
def test_the_smaller_network_gives_what_the_one_with_zeros_gives(method):
    network = mlp((10, 16, 9, 3), link="softmax")
    samples = np.random.default_rng(1).standard_normal((200, 10))
    labels = network.outputs(samples).argmax(axis=1)
    options = {"sparsity": 0.5, "method": method}
    small, zeroed = (prune_neurons(network, samples, labels, smaller=smaller, **options) for smaller in (True, False))
    assert zeroed.model.weights[0].shape == (10, 16)
    assert sum(weight.shape[1] for weight in small.model.weights[:-1]) == 12
    np.testing.assert_allclose(small.model.outputs(samples), zeroed.model.outputs(samples), rtol=1e-9, atol=1e-9)
    for name, weight in zip(small.mask, zeroed.model.weights, strict=True):
        assert not weight[~small.mask[name]].any()
    assert small.mask.kept == sum(weight.size for weight in small.model.weights)
    assert [kept_neurons(small.mask, f"weights_{i}").size for i in (0, 1)] == [layer.kept for layer in small.layers]
    assert small.dense_quality == 1.0
    assert (small.steps[0].kept, small.steps[0].total) == (12, 25)


@pytest.mark.parametrize("has_bias", [True, False])
def test_neurons_that_are_copies_go_without_a_loss(has_bias):
    """Sixteen neurons, each of them twice: half of them give everything."""
    network = mlp((6, 16, 3), has_bias=has_bias)
    weights = [np.hstack([network.weights[0]] * 2), np.vstack([network.weights[1]] * 2)]
    biases = [np.tile(network.biases[0], 2), network.biases[1]] if has_bias else None
    samples = np.random.default_rng(2).standard_normal((500, 6))
    pruned = prune_neurons(
        NumpyMLP(weights, biases), samples, sparsity=0.5, method=GroupSelection(damping=1e-6), damping=1e-6
    )
    assert sorted(kept_neurons(pruned.mask, "weights_0") % 16) == list(range(16))
    np.testing.assert_allclose(pruned.model.predict(samples), NumpyMLP(weights, biases).predict(samples), atol=1e-3)
    assert pruned.layers[0].error < 1e-6


def test_group_selection_beats_every_score_on_digits(digits):
    accuracy = {}
    for method in METHODS:
        pruned = prune_neurons(digits, X[:1200], Y[:1200], keep={"coefs_0": 8}, method=method)
        accuracy[method] = pruned.model.score(X[1200:], Y[1200:])
        assert pruned.model.coefs_[0].shape == (64, 8)
    *others, ours = accuracy.values()
    assert ours > max(others)


def test_prune_takes_neuron_methods(digits):
    """The verb hands over: the same network as by `prune_neurons`."""
    pruned = prune(digits, X[:1200], Y[:1200], sparsity=0.5, method=Contribution(), validation=(X[1200:], Y[1200:]))
    twin = prune_neurons(digits, X[:1200], Y[:1200], sparsity=0.5, method=Contribution())
    assert pruned.mask == twin.mask
    assert pruned.quality == pruned.model.score(X[1200:], Y[1200:])
    assert pruned.dense_quality == digits.score(X[1200:], Y[1200:])


def test_the_refit_helps(digits):
    with_refit, without = (
        prune_neurons(digits, X[:1200], sparsity=0.5, method=OutgoingNorm(), refit=refit).model
        for refit in (True, False)
    )
    assert with_refit.score(X[1200:], Y[1200:]) > without.score(X[1200:], Y[1200:]) + 0.05


def test_a_smaller_perceptron_of_scikit_learn_trains_on_copies_and_is_cloned(digits):
    before = [weight.copy() for weight in digits.coefs_]
    small = prune_neurons(digits, X[:1200], sparsity=0.5).model
    assert small.hidden_layer_sizes == tuple(weight.shape[1] for weight in small.coefs_[:-1])
    assert sum(small.hidden_layer_sizes) == 18
    start = small.score(X[:1200], Y[:1200])
    twin = pickle.loads(pickle.dumps(small))
    for _ in range(5):
        twin.partial_fit(X[:1200], Y[:1200])
    assert twin.score(X[:1200], Y[:1200]) > start
    assert small.score(X[:1200], Y[:1200]) == start
    assert all(np.array_equal(new, old) for new, old in zip(digits.coefs_, before, strict=True))
    assert digits.hidden_layer_sizes == (24, 12)


def test_contribution_of_a_regression_and_of_two_classes():
    data, target = load_diabetes(return_X_y=True)
    data = data / data.std(axis=0)
    regressor = MLPRegressor(hidden_layer_sizes=(10,), max_iter=300, tol=10.0, random_state=0).fit(data, target)
    pruned = prune_neurons(regressor, data, target, sparsity=0.5, method=Contribution())
    assert kept_neurons(pruned.mask, "coefs_0").size == 5
    binary = MLPClassifier((10,), max_iter=50, tol=1e-1, random_state=0).fit(
        data, np.where(target > 140, "high", "low")
    )
    pruned = prune_neurons(binary, data, np.where(target > 140, "high", "low"), keep=4, method=Contribution())
    assert len(pruned.model.coefs_[1]) == 4


def test_contribution_is_the_mean_of_activation_times_slope():
    """The slope by a difference quotient of the loss in a factor on the neuron."""
    network, rng = mlp((4, 5, 3), link="softmax"), np.random.default_rng(3)
    samples, labels = rng.standard_normal((30, 4)), np.arange(30) % 3

    def losses(factor):
        weights = [network.weights[0], network.weights[1] * factor[:, None]]
        return -np.log(NumpyMLP(weights, network.biases, link="softmax").predict(samples)[np.arange(30), labels])

    pruned = prune_neurons(network, samples, labels, keep=3, method=Contribution())
    h = 1e-6
    expected = [np.mean(np.abs(losses(1 + h * unit) - losses(1 - h * unit)) / (2 * h)) for unit in np.eye(5)]
    assert kept_neurons(pruned.mask, "weights_0").tolist() == sorted(np.argsort(expected)[2:])


def test_scores_of_activations():
    activations = np.array([[0.0, 1.0, 2.0], [0.0, 0.0, 2.0], [0.0, 1.0, 2.0], [0.0, 0.0, 2.0]])
    weights = [np.diag([1.0, 2.0, 3.0]), np.array([[3.0, 4.0], [0.0, 1.0], [2.0, 0.0]])]
    own, following = Samples(activations / [1, 2, 3]).stats(NumpyMLP(weights))
    hidden = HiddenLayer(own, following, following.outputs, np.ones(2))
    np.testing.assert_allclose(hidden.activations, activations)
    assert ActivationSparsity().scores(hidden).tolist() == [0, 0.5, 1]
    assert ActivationVariance().scores(hidden).tolist() == [0, 0.25, 0]
    np.testing.assert_allclose(ActivationEntropy().scores(hidden), [0, np.log(2), 0])
    assert OutgoingNorm().scores(hidden).tolist() == [5, 1, 2]
    assert IncomingNorm().scores(hidden).tolist() == [1, 2, 3]


def test_layers_that_are_not_named_keep_their_neurons():
    network, samples = mlp((6, 8, 8, 2)), np.random.default_rng(4).standard_normal((100, 6))
    pruned = prune_neurons(network, samples, sparsity=0.75, layers=["weights_1"])
    assert [weight.shape for weight in pruned.model.weights] == [(6, 8), (8, 2), (2, 2)]
    assert pruned.layers[0].name == "weights_1"


def test_each_layer_keeps_a_neuron_whatever_the_scores():
    weights = [np.eye(4), 1e-9 * np.eye(4), np.eye(4)]
    samples = np.random.default_rng(5).standard_normal((50, 4))
    pruned = prune_neurons(NumpyMLP(weights), samples, sparsity=0.5, method=OutgoingNorm())
    assert min(weight.size for weight in pruned.model.weights) > 0


def test_single_precision_stays():
    network, samples = mlp((6, 8, 2)), np.random.default_rng(4).standard_normal((100, 6)).astype(np.float32)
    single = NumpyMLP(
        [weight.astype(np.float32) for weight in network.weights], [b.astype(np.float32) for b in network.biases]
    )
    pruned = prune_neurons(single, samples, sparsity=0.5)
    assert pruned.model.predict(samples).dtype == np.float32


def test_a_sequential_of_torch_becomes_smaller():
    torch = pytest.importorskip("torch")
    torch.manual_seed(0)
    module = torch.nn.Sequential(torch.nn.Linear(6, 10), torch.nn.Tanh(), torch.nn.Linear(10, 2))
    samples = np.random.default_rng(6).standard_normal((100, 6)).astype(np.float32)
    small, zeroed = (prune_neurons(module, samples, sparsity=0.5, smaller=smaller).model for smaller in (True, False))
    assert [tuple(weight.shape) for weight in (small[0].weight, small[2].weight)] == [(5, 6), (2, 5)]
    data = torch.from_numpy(samples)
    assert torch.allclose(small(data), zeroed(data), atol=1e-6)


def test_a_choice_is_proven_best():
    """Twenty neurons, four outputs: no other six rows are better."""
    network, samples = mlp((8, 20, 4)), np.random.default_rng(7).standard_normal((400, 8))
    pruned = prune_neurons(network, samples, keep=6, method=GroupSelection(proof_time=300))
    assert pruned.certificates["weights_0"].relative_gap < 1e-5


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "one of the two"),
        ({"sparsity": 0.5, "keep": 3}, "one of the two"),
        ({"sparsity": 1.0}, "below 1"),
        ({"keep": 0}, "from 1 to 8"),
        ({"keep": 9}, "from 1 to 8"),
        ({"keep": {"weights_1": 1}}, "hidden layers are 'weights_0'"),
        ({"keep": 2, "layers": ["fc"]}, "hidden layers are 'weights_0'"),
        ({"keep": 2, "scope": "neuron"}, "whole neurons"),
        ({"keep": 2, "method": Contribution()}, "needs y"),
    ],
)
def test_bad_requests_say_what_to_give(options, message):
    with pytest.raises(ValueError, match=message):
        prune_neurons(mlp((6, 8, 2)), np.ones((5, 6)), **options)


def test_models_without_a_chain_of_hidden_layers_are_refused():
    with pytest.raises(ValueError, match="no hidden neurons"):
        prune_neurons(mlp((6, 2)), np.ones((5, 6)), sparsity=0.5)
    with pytest.raises(ValueError, match="5 samples, y 4"):
        prune_neurons(mlp((6, 8, 2)), np.ones((5, 6)), np.ones(4), sparsity=0.5)
    with pytest.raises(ValueError, match="columns"):
        prune_neurons(mlp((6, 8, 2)), np.ones((5, 7)), sparsity=0.5)
    with pytest.raises(ValueError, match="NaN"):
        prune_neurons(mlp((6, 8, 2)), np.full((5, 6), np.nan), sparsity=0.5)
    with pytest.raises(TypeError, match="NeuronMethod"):
        prune_neurons(mlp((6, 8, 2)), np.ones((5, 6)), sparsity=0.5, method="magnitude")
    with pytest.raises(ValueError, match="damping"):
        GroupSelection(damping=0)
    with pytest.raises(ValueError, match="proof_time"):
        GroupSelection(proof_time=-1)
    with pytest.raises(ValueError, match="bins"):
        ActivationEntropy(bins=1)
