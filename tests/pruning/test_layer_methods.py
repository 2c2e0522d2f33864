"""Methods for layers of any size: they keep as many weights as asked, fit them, and beat what they are to beat."""

import itertools

import numpy as np
import pytest

from sparseopt.kernels.alternating import BUCKETS, OTHERS, cut
from sparseopt.pruning import (
    ActivationMagnitude,
    AlternatingDirections,
    LayerwiseBranchAndBound,
    LayerwiseHardThresholding,
    LayerwiseL1,
    NumpyMLP,
    SparseGPT,
    alternating,
    certify_layer,
    prune,
)
from sparseopt.pruning.alternating import (
    alternating_directions,
    complement_gradients,
    conjugate_gradients,
    own_scale,
    ridge_of,
    scale_of,
)
from sparseopt.pruning.layer_methods import largest
from sparseopt.pruning.networks import Layer
from sparseopt.pruning.reconstruction import Reconstruction
from sparseopt.pruning.supports import refit

METHODS = [
    AlternatingDirections(threads=1),
    AlternatingDirections(threads=1, surplus=0.0, growth=1.3),
    AlternatingDirections(threads=2, rounds=1),
    SparseGPT(threads=1, block=16),
    SparseGPT(threads=1, refit=True),
    ActivationMagnitude(threads=1),
    LayerwiseHardThresholding(threads=1),
    LayerwiseL1(threads=1),
    LayerwiseBranchAndBound(threads=1, seconds=0.2),
]


def problem(seed=0, p=48, outputs=30, n=400, dead=0):
    """A layer with correlated inputs, and its samples."""
    rng = np.random.default_rng(seed)
    inputs = rng.standard_normal((n, 8)) @ rng.standard_normal((8, p)) + rng.standard_normal((n, p))
    inputs[:, :dead] = 0
    return inputs, Layer("layer", rng.standard_normal((p, outputs)), rng.standard_normal(outputs))


def support_of(layer, part):
    kept = np.zeros(layer.weight.shape, bool)
    kept.ravel()[: int(part * kept.size)] = True
    return kept


def error(found, layer, inputs):
    targets = layer(inputs)
    return np.sum((found(inputs) - targets) ** 2) / np.sum((targets - targets.mean(axis=0)) ** 2)


@pytest.mark.parametrize("part", [0.0, 0.02, 0.3, 0.7, 1.0])
@pytest.mark.parametrize("method", METHODS, ids=repr)
def test_a_layer_keeps_as_many_weights_as_it_may(method, part):
    inputs, layer = problem()
    kept = support_of(layer, part)
    found, support = method.fit(layer, kept, inputs, layer(inputs))
    assert support.sum() == kept.sum()
    assert np.array_equal(found.weight != 0, support)
    assert np.isfinite(found.weight).all()


@pytest.mark.parametrize("method", METHODS, ids=repr)
def test_all_methods_beat_the_largest_weights_and_the_dead_stay_dead(method):
    inputs, layer = problem(dead=5)
    kept = largest(np.abs(layer.weight), layer.weight.size // 4)
    found, support = method.fit(layer, kept, inputs, layer(inputs))
    masked = Layer("layer", np.where(kept, layer.weight, 0), layer.bias)
    assert not support[:5].any()
    assert error(found, layer, inputs) < 0.7 * error(masked, layer, inputs)


def test_alternating_directions_are_the_best_of_the_methods():
    inputs, layer = problem(1, p=96, outputs=64)
    kept = support_of(layer, 0.15)
    errors = [error(method.fit(layer, kept, inputs, layer(inputs))[0], layer, inputs) for method in METHODS[:-1]]
    assert max(errors[0], errors[2]) < 0.97 * min(errors[3:])


def test_rounds_of_exchanges_never_raise_the_error():
    """Without exchanges within each output: those go on from wherever they begin, and may end a little apart."""
    inputs, layer = problem(1, p=96, outputs=64)
    moments = Reconstruction.of(inputs, layer(inputs), layer, 0.01)
    methods = [AlternatingDirections(threads=1, exchanges=0, rounds=rounds) for rounds in (0, 1, 3)]
    losses = [moments.losses(method.solve(moments, support_of(layer, 0.15))[0]).sum() for method in methods]
    assert losses[2] <= losses[1] <= losses[0]


def test_no_exchange_within_an_output_helps_in_small_layers():
    inputs, layer = problem(2, p=14, outputs=5)
    method = AlternatingDirections(threads=1)
    _, support = method.fit(layer, support_of(layer, 0.2), inputs, layer(inputs))
    moments = Reconstruction.of(inputs, layer(inputs), layer, method.damping)
    losses = moments.losses(moments.refit(support))
    for output in range(5):
        for out, put in itertools.product(np.flatnonzero(support[:, output]), np.flatnonzero(~support[:, output])):
            other = support.copy()
            other[[out, put], output] = False, True
            assert moments.losses(moments.refit(other))[output] >= losses[output] * (1 - 1e-6)


@pytest.mark.parametrize("method", METHODS[:3], ids=repr)
def test_the_kept_weights_are_fitted_to_what_the_layer_put_out(method):
    inputs, layer = problem()
    found, support = method.fit(layer, support_of(layer, 0.3), inputs, layer(inputs))
    moments = Reconstruction.of(inputs, layer(inputs), layer, method.damping)
    slopes = moments.cross - moments.gram @ found.weight
    assert np.abs(slopes[support]).max() < 2e-3 * np.abs(moments.cross).max()


def test_supports_of_separate_inputs_are_the_best_there_are():
    """With a diagonal Gram the best support is that of the largest scaled weights."""
    rng = np.random.default_rng(0)
    gram, dense = np.diag(rng.uniform(0.5, 2, 30)), rng.standard_normal((20, 30))
    moved = np.abs(alternating_directions(gram, dense, 100, scale_of(gram))) * scale_of(gram)
    assert np.array_equal(largest(moved, 100), largest(np.abs(dense) * scale_of(gram), 100))


def test_the_slower_the_penalty_grows_the_lower_is_the_error(monkeypatch):
    """However slow: a number of steps that did not depend on the growth cut the slowest off far from rest."""
    rng = np.random.default_rng(0)
    inputs = rng.standard_normal((400, 30)) @ rng.standard_normal((30, 150)) + rng.standard_normal((400, 150))
    gram, weight = inputs.T @ inputs / 400, rng.standard_normal((150, 60))
    moments = Reconstruction(
        gram, gram @ weight, 0.0, np.zeros(150), np.zeros(60), np.sum(weight * (gram @ weight), axis=0)
    )
    wanted = np.zeros(weight.shape, bool)
    wanted.ravel()[: weight.size // 2] = True

    def loss(growth):
        return moments.losses(AlternatingDirections(threads=1, growth=growth).solve(moments, wanted)[0]).sum()

    found = [loss(growth) for growth in (1.2, 1.06, 1.02, 1.003, 1.001)]
    assert found == sorted(found, reverse=True)
    monkeypatch.setattr(alternating, "FURTHEST", 1.0)
    assert found[-1] < loss(1.001)


@pytest.mark.parametrize("growth", [1.02, 1.08, 2.0])
@pytest.mark.parametrize("part", [0.1, 0.5, 0.7])
def test_with_a_diagonal_gram_the_smallest_products_go_whatever_the_growth(growth, part):
    """Then what a weight is worth is known in closed form, h_ii w_i^2: the directions alone missed it by some weights."""
    method = AlternatingDirections(threads=1, growth=growth)
    for seed in range(10):
        rng = np.random.default_rng(seed)
        diagonal, weight = np.exp(rng.standard_normal(30))[:, None], rng.standard_normal((30, 20))
        worth = diagonal * weight**2
        count = int(part * weight.size)
        moments = Reconstruction(
            np.diag(diagonal[:, 0]), diagonal * weight, 0.0, np.zeros(30), np.zeros(20), worth.sum(axis=0)
        )
        wanted = np.zeros(weight.shape, bool)
        wanted.ravel()[:count] = True
        found, support = method.solve(moments, wanted)
        assert (support == largest(worth, count)).all()
        # Where many stay they are fitted in single precision.
        assert found == pytest.approx(np.where(support, weight, 0), rel=1e-5)


@pytest.mark.parametrize("part", [0.01, 0.5, 0.99])
def test_what_an_input_has_of_its_own_is_what_the_others_leave_of_it(part):
    """The others are fitted to it with a ridge, in units of their own squares."""
    inputs, _ = problem(p=10)
    inputs *= 2.0 ** np.arange(10)
    inputs[:, 9] = inputs[:, 8]
    gram = inputs.T @ inputs / len(inputs)
    own = own_scale(gram, part)
    for j in range(10):
        others = np.delete(np.arange(10), j)
        beside = gram[others, j]
        ridge = ridge_of(part) * np.diag(gram.diagonal()[others])
        fitted = np.linalg.solve(gram[np.ix_(others, others)] + ridge, beside)
        assert own[j] ** 2 == pytest.approx(gram[j, j] - beside @ fitted, rel=1e-4)


def test_units_of_the_inputs_do_not_change_the_support():
    """Powers of two, which change no digit."""
    inputs, layer = problem()
    moments = Reconstruction.of(inputs, layer(inputs), layer, 0.01)
    units = 2.0 ** (np.arange(48) % 11 - 5)
    other = Reconstruction(
        moments.gram * units * units[:, None],
        moments.cross * units[:, None],
        0.0,
        np.zeros(48),
        np.zeros(30),
        moments.energy,
    )
    for part in (0.1, 0.6):
        method, kept = AlternatingDirections(threads=1), support_of(layer, part)
        assert np.array_equal(method.solve(moments, kept)[1], method.solve(other, kept)[1])


@pytest.mark.parametrize("part", [0.1, 0.2, 0.5])
def test_weights_are_better_compared_by_what_their_inputs_have_of_their_own(part, monkeypatch):
    """Inputs with a part in common, each of its own size: there the whole square of an input says little of its worth."""
    method, losses = AlternatingDirections(threads=1, exchanges=0), []
    layers = []
    for seed in range(3):
        rng = np.random.default_rng(seed)
        common = rng.standard_normal((500, 8)) @ rng.standard_normal((8, 60))
        inputs = common * np.exp(rng.standard_normal(60)) + rng.standard_normal((500, 60))
        layer = Layer("layer", rng.standard_normal((60, 50)) / inputs.std(axis=0)[:, None])
        layers.append(Reconstruction.of(inputs, layer(inputs), layer, 0.01))
    for scale in (own_scale, lambda gram, _: scale_of(gram)):
        monkeypatch.setattr("sparseopt.pruning.layer_methods.own_scale", scale)
        kept = np.zeros((60, 50), bool)
        kept.ravel()[: int(part * kept.size)] = True
        losses.append(sum(moments.losses(method.solve(moments, kept)[0]).sum() for moments in layers))
    assert losses[0] < 0.98 * losses[1]


def test_outputs_are_refitted_exactly_whatever_their_number_of_weights():
    inputs, layer = problem(p=40, outputs=21)
    moments = Reconstruction.of(inputs, layer(inputs), layer, 0.01)
    support = np.array([np.random.default_rng(r).permutation(40) < r for r in range(21)])
    found = refit(moments.gram, np.ascontiguousarray(moments.cross.T), support)
    for row, kept, b in zip(found, support, moments.cross.T, strict=True):
        exact = np.linalg.solve(moments.gram[np.ix_(kept, kept)], b[kept])
        np.testing.assert_allclose(row[kept], exact, rtol=1e-9, atol=1e-12)
        assert not row[~kept].any()


def test_the_threshold_of_many_sizes_keeps_nearly_as_many_as_asked():
    sizes = np.random.default_rng(0).standard_normal(100_000).astype(np.float32)
    counts = np.bincount((sizes.view(np.int32) & 0x7FFFFFFF) >> OTHERS, minlength=BUCKETS)
    for kept in (1, 1000, 50_000, 99_999, 100_000):
        above = np.count_nonzero(np.abs(sizes) >= np.int32(cut(counts, kept)).view(np.float32))
        # It is in the same bucket as the wanted size, and of many sizes much nearer.
        bucket = np.flatnonzero(np.cumsum(counts[::-1])[::-1] >= kept)[-1]
        assert abs(above - kept) <= min(counts[bucket], 0.02 * kept + 1)


@pytest.mark.parametrize("fit", [conjugate_gradients, complement_gradients])
def test_conjugate_gradients_refit_all_outputs_at_once(fit):
    inputs, layer = problem(p=60)
    moments = Reconstruction.of(inputs, layer(inputs), layer, 0.01)
    kept = np.random.default_rng(0).random(layer.weight.shape) < 0.5
    kept[:, 3] = False
    dense = layer.weight.T
    found = fit(moments.gram, moments.cross.T, dense, kept.T, dense, tolerance=1e-7)
    # The rule to stop is about the loss.
    exact = moments.losses(moments.refit(kept)).sum()
    assert exact <= moments.losses(found.T).sum() <= exact * (1 + 1e-4)


def test_branch_and_bound_leaves_no_gap():
    inputs, layer = problem(3, p=12, outputs=4)
    targets = layer(inputs)
    kept = largest(np.abs(layer.weight), 16)
    found, support = LayerwiseBranchAndBound(threads=1, damping=1e-9, seconds=60).fit(layer, kept, inputs, targets)
    assert np.array_equal(support.sum(axis=0), kept.sum(axis=0))
    bound = certify_layer(found, support, inputs, targets, seconds=60)
    # The search and the bound each leave a millionth of what the targets hold.
    assert (bound.outputs - bound.lower_outputs <= 2e-6 * bound.energy).all()


def test_threads_do_not_change_the_result():
    inputs, layer = problem()
    kept = support_of(layer, 0.2)
    one, two = (
        AlternatingDirections(threads=threads).fit(layer, kept, inputs, layer(inputs))[0].weight for threads in (1, 2)
    )
    assert np.array_equal(one, two)


@pytest.mark.parametrize("method", METHODS, ids=repr)
def test_networks_of_single_precision_are_pruned(method):
    rng = np.random.default_rng(0)
    sizes = (12, 20, 3)
    weights = [rng.standard_normal(pair).astype(np.float32) for pair in itertools.pairwise(sizes)]
    network = NumpyMLP(weights, [np.zeros(size, np.float32) for size in sizes[1:]])
    X = rng.standard_normal((200, 12)).astype(np.float32)
    result = prune(network, X, sparsity=0.6, method=method, scope="layer")
    assert result.mask.kept == sum(int(0.4 * weight.size) for weight in weights)
    assert all(weight.dtype == np.float32 for weight in result.model.weights)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: AlternatingDirections(growth=1.0), "growth is 1.0"),
        (lambda: AlternatingDirections(surplus=-1), "surplus is -1"),
        (lambda: AlternatingDirections(exchanges=-1), "exchanges is -1"),
        (lambda: AlternatingDirections(rounds=-1), "rounds is -1"),
        (lambda: AlternatingDirections(threads=0), "threads is 0"),
        (lambda: AlternatingDirections(bound_seconds=-1), "bound_seconds is -1"),
        (lambda: SparseGPT(damping=0), "damping is 0"),
        (lambda: SparseGPT(block=0), "block is 0"),
        (lambda: LayerwiseHardThresholding(iterations=-1), "iterations is -1"),
        (lambda: LayerwiseBranchAndBound(seconds=0), "seconds is 0"),
        (lambda: LayerwiseL1(iterations=0), "makes no step"),
    ],
)
def test_options_that_make_no_sense_are_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_layers_share_a_budget_by_elimination_or_each_weight_alone(monkeypatch):
    """Half of the first layer's inputs hardly vary, so that its weights go first."""
    rng = np.random.default_rng(0)
    X = rng.standard_normal((300, 10)) * np.repeat([1e-3, 1.0], 5)
    network = NumpyMLP([rng.standard_normal((10, 12)), rng.standard_normal((12, 3))])
    for limit in (np.inf, 0.0):
        monkeypatch.setattr("sparseopt.pruning.layer_methods.ELIMINATED", limit)
        result = prune(network, X, sparsity=0.5, method=AlternatingDirections(threads=1))
        first, second = result.mask.values()
        assert first.sum() + second.sum() == 78
        assert not first[:5].any()
        assert first.mean() < 0.5 < second.mean()
