"""The joint refit: a minimum on the support, nearer to the model as it was, and quick to obey."""

import numpy as np
import pytest

from sparseopt.pruning import (
    Clock,
    Distillation,
    Exponential,
    JointRefit,
    Labels,
    Link,
    Magnitude,
    NumpyMLP,
    gradients,
    prune,
)


@pytest.mark.parametrize("pull", [0.0, 0.01])
def test_the_gradient_vanishes_on_the_support_and_nothing_is_revived(small, samples, pull):
    rng = np.random.default_rng(3)
    kept = [rng.random(weight.shape) < 0.6 for weight in small.weights]
    start = small.with_layers(
        [
            type(layer)(layer.name, layer.weight * keep, layer.bias)
            for layer, keep in zip(small.layers(), kept, strict=True)
        ]
    )
    objective = Distillation.of(small, samples)
    found = JointRefit(iterations=3000, pull=pull).fit(start, kept, samples, objective)
    before, after = (objective.value_and_seeds(network.outputs(samples)) for network in (start, found))
    assert after[0] < before[0]
    # A thousandth of what it was at the start.
    small_slope = 1e-3 * max(np.abs(weight).max() for weight, _ in gradients(start, samples, before[1]))
    for layer, old, keep, (weight, bias) in zip(
        found.layers(), start.layers(), kept, gradients(found, samples, after[1]), strict=True
    ):
        assert not layer.weight[~keep].any()
        np.testing.assert_allclose((weight + pull * (layer.weight - old.weight))[keep], 0, atol=small_slope)
        np.testing.assert_allclose(bias + pull * (layer.bias - old.bias), 0, atol=small_slope)


def test_a_joint_refit_without_labels_brings_the_model_back(small, samples):
    plain, refitted = (
        prune(small, samples, sparsity=0.7, method=Magnitude(), refit=refit) for refit in (None, JointRefit())
    )
    loss = [Distillation.of(small, samples).value_and_seeds(run.model.outputs(samples))[0] for run in (plain, refitted)]
    assert loss[1] < loss[0] / 2
    assert sum(map(np.count_nonzero, refitted.model.weights)) <= refitted.mask.kept


def test_stages_do_better_than_one_shot(small, samples):
    once, stages = (
        prune(small, samples, sparsity=0.85, method=Magnitude(), schedule=schedule, refit=JointRefit()).steps[-1].loss
        for schedule in (Exponential(1), Exponential(5))
    )
    assert stages < once


def test_samples_held_out_end_a_fit_to_what_cannot_be_learnt(small, samples):
    """Labels by lot: whatever is learnt of some is wrong for the others."""
    kept = [np.ones(weight.shape, bool) for weight in small.weights]
    y = np.random.default_rng(0).integers(0, 3, len(samples))
    half = len(samples) // 2
    objective, judge = (Labels(Link.SOFTMAX, part) for part in (y[:half], y[half:]))
    whole, stopped = (
        judge.value_and_seeds(refit.fit(small, kept, samples[:half], objective).outputs(samples[half:]))[0]
        for refit in (JointRefit(iterations=200), JointRefit(iterations=200, held_out=0.3))
    )
    assert stopped < whole


def test_a_temperature_remembers_what_a_sure_network_says_of_other_samples():
    """Its last weights are ten times those of others: nearly all probabilities are zeros and ones."""
    divergences = []
    for seed in range(5):
        rng = np.random.default_rng(seed)
        weights = [rng.standard_normal(shape) / np.sqrt(shape[0]) for shape in ((12, 9), (9, 6), (6, 3))]
        sure = NumpyMLP([*weights[:-1], 10 * weights[-1]], None, "tanh", "softmax")
        X, others = rng.standard_normal((150, 12)), rng.standard_normal((2000, 12))
        judge = Distillation.of(sure, others)
        runs = [
            prune(sure, X, sparsity=0.5, refit=JointRefit(temperature=temperature, iterations=200))
            for temperature in (1.0, 2.0)
        ]
        divergences.append([judge.value_and_seeds(run.model.outputs(others))[0] for run in runs])
    cold, warm = np.mean(divergences, axis=0)
    assert warm < cold


def test_single_precision_stays(small, samples):
    single = NumpyMLP([w.astype(np.float32) for w in small.weights], None, "tanh", "softmax")
    pruned = prune(single, samples.astype(np.float32), sparsity=0.5, refit=JointRefit(iterations=5))
    assert {weight.dtype for weight in pruned.model.weights} == {np.dtype(np.float32)}


def test_a_clock_that_has_run_out_ends_the_refit(small, samples):
    kept = [np.ones(weight.shape, bool) for weight in small.weights]
    objective = Distillation.of(small, samples)
    found = JointRefit().fit(small, kept, samples, objective, clock=Clock(limit=0.0))
    assert all(map(np.array_equal, found.weights, small.weights))


@pytest.mark.parametrize(
    "knobs", [{"iterations": 0}, {"distil": 1.5}, {"temperature": 0.0}, {"pull": -1.0}, {"held_out": 1.0}]
)
def test_wrong_knobs_are_told(knobs):
    with pytest.raises(ValueError, match="give a"):
        JointRefit(**knobs)
