"""A relay of two methods: each step is one of theirs, and nothing else."""

import numpy as np
import pytest

from sparseopt.pruning import (
    BestSubset,
    FirstOrder,
    LayerwiseL0,
    Linear,
    Magnitude,
    NetworkL0,
    Relay,
    Scored,
    prune,
    prune_path,
)


def weights(run):
    return run.model.weights


@pytest.mark.parametrize("then", [LayerwiseL0(), NetworkL0(rounds=1, iterations=3)], ids=repr)
def test_steps_are_those_of_the_first_and_then_of_the_second(small, samples, then):
    relay = prune(small, samples, sparsity=0.9, method=Relay(then=then), schedule=Linear(2))
    first = prune(small, samples, sparsity=0.45, method=Magnitude())
    both = prune(small, samples, sparsity=0.9, method=then, resume=first)
    assert all(map(np.array_equal, weights(relay), weights(both)))


@pytest.mark.parametrize("sparsity", [0.0, 0.3, 0.9])
def test_one_step_is_the_second_method_s(small, samples, sparsity):
    runs = [prune(small, samples, sparsity=sparsity, method=method) for method in (Relay(), LayerwiseL0())]
    assert all(map(np.array_equal, *map(weights, runs)))
    assert runs[0].layers == runs[1].layers


def test_the_second_takes_over_where_few_times_what_is_kept_is_left():
    first, then = Scored(Magnitude()), LayerwiseL0()
    levels = Linear(10).levels(0.9)
    taken = [Relay(then=then, times=times).at(level, 0.9) for times in (1, 2.8, 3.7, 100) for level in levels]
    assert taken == [first] * 9 + [then] + [first] * 7 + [then] * 3 + [first] * 6 + [then] * 4 + [then] * 10


def test_a_path_is_the_second_method_s(small, samples):
    runs = [prune_path(small, samples, sparsities=(0.5, 0.9), method=method) for method in (Relay(), LayerwiseL0())]
    for relay, alone in zip(*runs, strict=True):
        assert all(map(np.array_equal, weights(relay), weights(alone)))


def test_certificates_are_the_second_method_s(small, samples):
    relay = Relay(then=LayerwiseL0(bound_seconds=0.05))
    assert prune(small, samples, sparsity=0.9, method=relay).certificates
    relay = Relay(first=LayerwiseL0(bound_seconds=0.05), then=Magnitude())
    assert not prune(small, samples, sparsity=0.9, method=relay).certificates


def test_a_relay_needs_labels_if_one_of_its_methods_does(small, samples):
    assert not Relay().needs_labels
    for relay in (Relay(first=FirstOrder()), Relay(then=Scored(FirstOrder(), refit=True))):
        with pytest.raises(ValueError, match="needs y"):
            prune(small, samples, sparsity=0.9, method=relay)


@pytest.mark.parametrize("knobs", [{"first": "magnitude"}, {"then": BestSubset()}, {"first": Relay()}])
def test_what_is_no_method_of_single_weights_is_refused(knobs):
    with pytest.raises(TypeError, match="give a method or a score"):
        Relay(**knobs)


@pytest.mark.parametrize("times", [0.5, np.inf, np.nan])
def test_a_wrong_number_of_times_is_refused(times):
    with pytest.raises(ValueError, match="give a number from 1"):
        Relay(times=times)


def test_a_threshold_is_refused(small, samples):
    with pytest.raises(ValueError, match="give sparsity="):
        prune(small, samples, threshold=0.1, method=Relay())
