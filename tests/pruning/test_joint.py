"""Oracles of the joint quadratic model: dense matrices, and better values than each weight by itself gives."""

import numpy as np
import pytest

from sparseopt.pruning import Exponential, JointL0, Labels, NofM, NumpyMLP, OptimalBrainDamage, Samples, prune
from sparseopt.pruning.joint import _Quadratic


@pytest.fixture(scope="module")
def small():
    rng = np.random.default_rng(1)
    weights = [rng.standard_normal(shape) / np.sqrt(shape[0]) for shape in ((12, 9), (9, 3))]
    return NumpyMLP(weights, [rng.standard_normal(size) for size in (9, 3)], link="softmax")


@pytest.fixture(scope="module")
def samples():
    rng = np.random.default_rng(2)
    return rng.standard_normal((300, 12)) @ rng.standard_normal((12, 12))


Y = np.arange(300) % 3


def dense_model(network, samples, knobs):
    """Rows of J, one slope of a sample's loss in all weights, and what follows from them."""
    stats = samples.stats(network)
    slopes = [s.slopes if knobs.empirical else s.own_slopes for s in stats]
    rows = [np.einsum("ni,no->nio", s.inputs, d).reshape(len(d), -1) for s, d in zip(stats, slopes, strict=True)]
    J = np.concatenate(rows, axis=1)
    fisher = J.T @ J / len(J)
    fisher[np.diag_indices_from(fisher)] += knobs.damping * fisher.trace() / len(fisher)
    g = np.concatenate(
        [knobs.first_order * s.gradient.ravel() if knobs.first_order else np.zeros(s.weight.size) for s in stats]
    )
    return fisher, g, np.concatenate([s.weight.ravel() for s in stats])


@pytest.mark.parametrize("knobs", [JointL0(), JointL0(empirical=True), JointL0(first_order=1.0)], ids=repr)
def test_the_model_is_the_dense_one_and_the_fit_its_minimum_on_the_support(small, samples, knobs):
    data = Samples(samples, Labels.of(small.link, Y))
    fisher, g, start = dense_model(small, data, knobs)
    model = _Quadratic.of(small, data, knobs)
    rng = np.random.default_rng(3)
    kept = [rng.random(weight.shape) < 0.5 for weight in small.weights]
    support = np.flatnonzero(np.concatenate([keep.ravel() for keep in kept]))
    found = np.concatenate([w.ravel() for w in model.fitted(kept, model.masked(model.start, kept), 500, 1e-10)])
    # w = w0 - F_SS^-1 (g - F w0 outside) on the support
    gone = np.where(np.isin(np.arange(start.size), support), 0.0, start)
    expected = start[support] + np.linalg.solve(fisher[np.ix_(support, support)], (fisher @ gone - g)[support])
    np.testing.assert_allclose(found[support], expected, atol=1e-6)
    assert not np.delete(found, support).any()
    move = found - start
    parts = [part.reshape(w.shape) for part, w in zip(np.split(found, [108]), small.weights, strict=True)]
    assert model.value(parts) == pytest.approx(g @ move + move @ fisher @ move / 2, rel=1e-9)


def test_thresholding_ends_lower_than_each_weight_by_itself(small, samples):
    data = Samples(samples)
    method = JointL0(damping=0.01)
    model = _Quadratic.of(small, data, method)
    values = []
    for iterations in (0, 20):
        pruned = prune(small, samples, sparsity=0.7, method=JointL0(damping=0.01, iterations=iterations))
        values.append(model.value([w.astype(float) for w in pruned.model.weights]))
        assert pruned.mask.kept == 40
        assert all(not w[~m].any() for w, m in zip(pruned.model.weights, pruned.mask.values(), strict=True))
    plain = prune(small, samples, sparsity=0.7, method=OptimalBrainDamage())
    assert values[1] <= values[0] < model.value(list(plain.model.weights))


def test_scopes_patterns_and_stages_hold(small, samples):
    by_layer = prune(small, samples, sparsity=0.5, method=JointL0(), scope="layer")
    assert [count.kept for count in by_layer.mask.counts.values()] == [54, 13]
    pattern = prune(small, samples, pattern=NofM(1, 3), method=JointL0())
    assert all((mask.reshape(-1, 3, mask.shape[1]).sum(axis=1) == 1).all() for mask in pattern.mask.values())
    stages = prune(small, samples, sparsity=0.8, method=JointL0(), schedule=Exponential(3))
    assert [step.kept for step in stages.steps][-1] == 27


def test_labels_are_asked_for_and_wrong_knobs_told(small, samples):
    for method in (JointL0(empirical=True), JointL0(first_order=1.0)):
        with pytest.raises(ValueError, match="needs y"):
            prune(small, samples, sparsity=0.5, method=method)
    for knobs in ({"damping": 0}, {"iterations": -1}, {"first_order": -1.0}):
        with pytest.raises(ValueError, match="give"):
            JointL0(**knobs)
