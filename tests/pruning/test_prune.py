"""Stories of the verb: what a pruned model is, and that it is better than by magnitude."""

import copy
import itertools
import tracemalloc

import numpy as np
import pytest
from sklearn.datasets import load_digits
from sklearn.exceptions import ConvergenceWarning
from sklearn.neural_network import MLPClassifier

from sparseopt.pruning import Activation, LayerwiseL0, Link, Magnitude, Network, NumpyMLP, Scope, Scored, prune
from sparseopt.pruning.pruned import relative_error

X, Y = load_digits(return_X_y=True)
X = X / 16
TRAIN, TEST = slice(0, 1200), slice(1200, None)


@pytest.fixture(scope="module")
def digits():
    """Fit 64 hidden neurons to 1200 digits; 0.93 right on the others."""
    model = MLPClassifier((64,), max_iter=60, random_state=0)
    with pytest.warns(ConvergenceWarning):
        return model.fit(X[TRAIN], Y[TRAIN])


def bytes_of(model):
    return [array.tobytes() for array in (*model.coefs_, *model.intercepts_)]


@pytest.fixture(scope="module")
def small():
    rng = np.random.default_rng(1)
    weights = [rng.standard_normal(shape) for shape in ((12, 9), (9, 6), (6, 2))]
    return NumpyMLP(weights, [rng.standard_normal(size) for size in (9, 6, 2)])


@pytest.fixture(scope="module")
def samples():
    rng = np.random.default_rng(2)
    return rng.standard_normal((300, 12)) @ rng.standard_normal((12, 12))


@pytest.mark.parametrize("sparsity", [0.9, 0.95])
def test_layerwise_l0_beats_magnitude_on_digits_without_retraining(digits, sparsity):
    accuracy = {
        method: prune(digits, X[TRAIN], sparsity=sparsity, method=method).model.score(X[TEST], Y[TEST])
        for method in (LayerwiseL0(), Scored(Magnitude(), refit=True), Magnitude())
    }
    ours, refitted, plain = accuracy.values()
    assert ours > refitted > plain
    assert ours > plain + 0.2
    assert ours > digits.score(X[TEST], Y[TEST]) - 0.08


@pytest.mark.parametrize("method", [LayerwiseL0(), Magnitude(), Scored(Magnitude(), refit=True)], ids=repr)
def test_the_mask_holds_in_the_pruned_model_and_the_given_one_is_untouched(digits, method):
    before = bytes_of(digits)
    pruned = prune(digits, X[TRAIN], Y[TRAIN], sparsity=0.9, method=method)
    assert pruned.mask.kept == 473 == int(0.1 * 4736)
    for i, weight in enumerate(pruned.model.coefs_):
        assert not weight[~pruned.mask[f"coefs_{i}"]].any()
        assert not np.shares_memory(weight, digits.coefs_[i])
    assert bytes_of(digits) == before
    assert [(layer.kept, layer.total) for layer in pruned.layers] == list(pruned.mask.counts.values())
    assert pruned.seconds > 0


def test_undo_restores_the_weights_that_were_set_to_zero(digits):
    mask = prune(digits, X[TRAIN], sparsity=0.9, method=Magnitude()).mask
    masked = mask.apply(digits)
    assert all(not weight[~mask[f"coefs_{i}"]].any() for i, weight in enumerate(masked.coefs_))
    assert bytes_of(mask.undo(masked, digits)) == bytes_of(digits)


def test_a_pruned_model_trains_on(digits):
    pruned = prune(digits, X[TRAIN], sparsity=0.95)
    model, mask = pruned.model, pruned.mask
    before = model.score(X[TRAIN], Y[TRAIN])
    for _ in range(10):
        model = mask.apply(model.partial_fit(X[TRAIN], Y[TRAIN]))
    assert model.score(X[TRAIN], Y[TRAIN]) > before
    assert sum(map(np.count_nonzero, model.coefs_)) <= mask.kept


def test_the_same_call_gives_the_same_bytes(digits):
    first, second = (prune(digits, X[TRAIN], sparsity=0.9) for _ in range(2))
    assert first.mask == second.mask
    assert bytes_of(first.model) == bytes_of(second.model)


def test_sparsity_zero_changes_nothing_but_rounding(small, samples):
    pruned = prune(small, samples, sparsity=0)
    assert pruned.mask.density == 1
    np.testing.assert_allclose(pruned.model.predict(samples), small.predict(samples), rtol=1e-9, atol=1e-9)
    assert max(layer.error for layer in pruned.layers) < 1e-20


def test_the_error_grows_with_sparsity(small, samples):
    errors = [prune(small, samples, sparsity=s).layers[0].error for s in (0.2, 0.4, 0.6, 0.8)]
    assert errors == sorted(errors)


def test_the_reported_error_is_that_of_the_layer(small, samples):
    pruned = prune(small, samples, sparsity=0.6)
    old, new = (samples @ model.weights[0] + model.biases[0] for model in (small, pruned.model))
    relative = np.sum((new - old) ** 2) / np.sum((old - old.mean(axis=0)) ** 2)
    assert pruned.layers[0].error == pytest.approx(relative, rel=1e-12)


def test_a_list_of_matrices_is_a_network_without_biases(samples):
    rng = np.random.default_rng(3)
    matrices = [rng.standard_normal((12, 8)).astype(np.float32), rng.standard_normal((8, 3)).astype(np.float32)]
    lent = copy.deepcopy(matrices)
    pruned = prune(matrices, samples.astype(np.float32), sparsity=0.5)
    assert pruned.model.biases is None
    assert [weight.dtype for weight in pruned.model.weights] == [np.float32, np.float32]
    assert sum(map(np.count_nonzero, pruned.model.weights)) == 60
    assert list(pruned.mask) == ["weights_0", "weights_1"]
    assert all(map(np.array_equal, matrices, lent))


@pytest.mark.parametrize("scope", Scope)
@pytest.mark.parametrize("method", [LayerwiseL0(), Magnitude()], ids=repr)
def test_a_scope_says_who_gives_the_weights(small, samples, scope, method):
    mask = prune(small, samples, sparsity=0.75, method=method, scope=scope).mask
    if scope is Scope.NETWORK:
        assert mask.kept == 43
    elif scope is Scope.LAYER:
        assert [count.kept for count in mask.counts.values()] == [27, 13, 3]
    else:
        assert [array.sum(axis=0).tolist() for array in mask.values()] == [[3] * 9, [2] * 6, [1] * 2]
    assert prune(small, samples, sparsity=0.75, method=method, scope=scope.value).mask == mask


@pytest.mark.parametrize("sparsity", [0.1, 0.3, 0.7, 0.9, 0.99])
def test_at_least_the_asked_part_is_zero(sparsity):
    """Whatever the rounding: (1 - 0.9) * 100 is 9.999999999999998."""
    mask = prune([np.arange(1.0, 101.0).reshape(10, 10)], np.eye(10), sparsity=sparsity, method=Magnitude()).mask
    assert mask.kept == round((1 - sparsity) * 100)


def test_dead_neurons_go_first(samples):
    """A neuron that never fires costs nothing, however large its weights."""
    rng = np.random.default_rng(4)
    weights = [rng.standard_normal((12, 6)), rng.standard_normal((6, 3))]
    weights[0][:, :3] *= 100
    network = NumpyMLP(weights, [np.array([-1e6] * 3 + [0.0] * 3), np.zeros(3)])
    pruned = prune(network, samples, sparsity=0.5)
    assert not pruned.mask["weights_0"][:, :3].any()
    np.testing.assert_allclose(pruned.model.predict(samples), network.predict(samples), atol=1e-8)


@pytest.mark.parametrize("activation", Activation)
def test_dead_inputs_and_few_samples_are_harmless(activation):
    rng = np.random.default_rng(5)
    few = rng.standard_normal((5, 20)) * (np.arange(20) % 3 > 0)
    network = NumpyMLP([rng.standard_normal((20, 15)), rng.standard_normal((15, 4))], None, activation)
    pruned = prune(network, few, sparsity=0.5)
    assert pruned.mask.kept == 180
    assert not pruned.mask["weights_0"][::3].any()
    assert all(np.isfinite(weight).all() for weight in pruned.model.weights)
    # Of a layer alone more may be lost: neurons that the outputs do not feel go first.
    wanted = network.predict(few)
    assert np.sum((pruned.model.predict(few) - wanted) ** 2) < 1e-4 * np.sum((wanted - wanted.mean(axis=0)) ** 2)


def test_constant_samples_leave_nothing_to_learn():
    network = NumpyMLP([np.ones((4, 3)), np.ones((3, 2))], [np.ones(3), np.ones(2)])
    pruned = prune(network, np.ones((7, 4)), sparsity=0.5)
    np.testing.assert_allclose(pruned.model.predict(np.ones((1, 4))), network.predict(np.ones((1, 4))))


def test_a_later_layer_makes_good_what_the_earlier_ones_spoiled(small, samples):
    """Refitted to the inputs it really gets, a layer does better than with its share of a joint mask."""
    together, plain = prune(small, samples, sparsity=0.5), prune(small, samples, sparsity=0.5, method=Magnitude())
    wanted = small.predict(samples)
    errors = [np.sum((pruned.model.predict(samples) - wanted) ** 2) for pruned in (together, plain)]
    assert errors[0] < errors[1] / 4


def test_a_network_of_any_kind_needs_seven_methods(small, samples):
    class Wrapped(Network):
        link = Link.IDENTITY

        def __init__(self, inner):
            self.inner = inner

        def layers(self):
            return self.inner.layers()

        def inputs(self, X):
            return self.inner.inputs(X)

        def outputs(self, X):
            return self.inner.outputs(X)

        def slopes(self, X, seeds):
            return self.inner.slopes(X, seeds)

        def with_layers(self, layers):
            return Wrapped(self.inner.with_layers(layers))

        def model(self):
            return Wrapped(self.inner.model())

    pruned = prune(Wrapped(small), samples, sparsity=0.6)
    assert isinstance(pruned.model, Wrapped)
    assert pruned.mask == prune(small, samples, sparsity=0.6).mask


def test_progress_is_a_line_for_each_step(small, samples, capsys):
    pruned = prune(small, samples, sparsity=0.6, progress=True)
    told = capsys.readouterr()
    assert told.out == ""
    assert len(told.err.splitlines()) == 2 + len(pruned.layers)
    assert "weights_1" in told.err
    assert repr(pruned).startswith("Pruned(NumpyMLP, 69 of 174 weights kept, largest error")


NAN = np.array([[np.nan] * 12])


@pytest.mark.parametrize(
    ("data", "options", "message"),
    [
        (NAN, {}, "NaN or infinity"),
        (np.ones((0, 12)), {}, "at least one sample"),
        (np.ones((5, 11)), {}, "12 columns"),
        (np.ones(12), {}, "12 columns"),
        (np.array([["a"] * 12]), {}, "give numbers"),
        (np.ones((5, 12)), {"sparsity": 1}, "below 1"),
        (np.ones((5, 12)), {"sparsity": -0.1}, "at least 0"),
        (np.ones((5, 12)), {"sparsity": np.nan}, "at least 0"),
        (np.ones((5, 12)), {"scope": "row"}, "network, layer or neuron"),
        (np.ones((5, 12)), {"y": np.ones(4)}, "one target per sample"),
    ],
)
def test_wrong_data_is_told_at_the_door(small, data, options, message):
    with pytest.raises(ValueError, match=message):
        prune(small, data, **{"sparsity": 0.5, **options})


@pytest.mark.parametrize(
    "mistake",
    [lambda: LayerwiseL0(damping=0), lambda: LayerwiseL0(exchanges=-1), lambda: Scored(Magnitude(), damping=np.inf)],
)
def test_wrong_knobs_are_told_at_the_door(mistake):
    with pytest.raises(ValueError, match="give"):
        mistake()


def test_a_model_of_no_known_kind_is_refused(samples):
    with pytest.raises(TypeError, match="Network"):
        prune("model", samples, sparsity=0.5)


def test_sensitivities_are_mean_squared_slopes(samples):
    """Against central differences of the outputs in each neuron's bias, summed over outputs."""
    rng = np.random.default_rng(6)
    shapes = ((12, 5), (5, 4), (4, 3))
    weights = [0.3 * rng.standard_normal(shape) for shape in shapes]
    biases = [rng.standard_normal(shape[1]) for shape in shapes]
    many = np.tile(samples, (100, 1))
    for activation, (i, h) in itertools.product(Activation, ((0, 1e-5), (2, 1e-5))):
        network = NumpyMLP(weights, biases, activation)
        found = network.sensitivities(many)[i]
        for neuron, sensitivity in enumerate(found):
            outputs = []
            for sign in (1, -1):
                moved = [bias.copy() for bias in biases]
                moved[i][neuron] += sign * h
                outputs.append(NumpyMLP(weights, moved, activation).predict(samples))
            slope = (outputs[0] - outputs[1]) / (2 * h)
            # 30000 random signs: the mean is within a few parts of 1/sqrt(30000) times the spread.
            assert sensitivity == pytest.approx(np.mean(np.sum(slope**2, axis=1)), rel=0.05)


def test_the_error_of_many_samples_is_taken_without_copies_of_all_in_double_precision():
    rng = np.random.default_rng(0)
    outputs, targets = rng.standard_normal((2, 60_000, 8)).astype(np.float32)
    exact = np.sum((outputs.astype(float) - targets) ** 2) / np.sum((targets.astype(float) - targets.mean(0)) ** 2)
    tracemalloc.start()
    found = relative_error(outputs, targets)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert found == pytest.approx(exact, rel=1e-6)
    assert peak < 2 * targets.nbytes
