"""The relaxation of a layer: below brute force whatever the inputs, and near it where they are nearly independent."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from layer_errors import errors, moments

from sparseopt.pruning import AlternatingDirections, layer_relaxation
from sparseopt.pruning.clock import Clock
from sparseopt.pruning.layer_relaxation import LITTLE, is_split, relaxed_bounds
from sparseopt.pruning.reconstruction import Reconstruction


@settings(deadline=None, max_examples=25)
@given(st.integers(0, 10**6), st.sampled_from([0.0, 0.1, 3.0]), st.integers(0, 2))
def test_no_support_beats_a_bound(seed, common, copies):
    """Inputs with a common part, or copies of each other, which have no inverse; six, so that a block is filled up."""
    rng = np.random.default_rng(seed)
    inputs = rng.standard_normal((30, 6)) + common * rng.standard_normal((30, 1))
    inputs[:, :copies] = inputs[:, 3 : 3 + copies]
    inputs *= 10.0 ** rng.integers(-3, 4, 6)
    targets = rng.standard_normal((30, 3)) + inputs @ (rng.standard_normal((6, 3)) / np.std(inputs, axis=0)[:, None])
    gram, cross, energy = moments(inputs, targets)
    counts = rng.integers(0, 7, 3)
    tables = [errors(gram, b, e) for b, e in zip(cross, energy, strict=True)]
    best = np.array([table[count] for table, count in zip(tables, counts, strict=True)])
    shared, blocks = (relaxed_bounds(gram, cross, energy, counts, blocks=blocks) for blocks in (False, True))
    assert (shared <= blocks).all()
    assert (blocks <= best + 1e-9 * energy).all()
    total = int(counts.sum())
    spread = min(
        sum(table[count] for table, count in zip(tables, split, strict=True))
        for split in itertools.product(range(7), repeat=3)
        if sum(split) == total
    )
    for blocks in (False, True):
        bound = relaxed_bounds(gram, cross, energy, np.array([total]), blocks=blocks)[0]
        assert bound <= spread + 1e-9 * energy.sum()


def test_independent_inputs_leave_no_gap():
    """With a diagonal Gram the relaxation is the problem: the smallest products go. It ends within so much of it."""
    rng = np.random.default_rng(0)
    diagonal, W = rng.uniform(0.1, 10, 12), rng.standard_normal((4, 12))
    products = diagonal * W**2
    energy = products.sum(axis=1)
    bounds = relaxed_bounds(np.diag(diagonal), W * diagonal, energy, np.full(4, 5))
    assert bounds == pytest.approx(np.sort(products, axis=1)[:, :7].sum(axis=1), rel=3 * LITTLE)
    bound = relaxed_bounds(np.diag(diagonal), W * diagonal, energy, np.array([20]))
    assert bound == pytest.approx(np.sort(products, axis=None)[:28].sum(), rel=3 * LITTLE)


def test_inputs_with_little_in_common_leave_a_small_gap():
    rng = np.random.default_rng(0)
    inputs = rng.standard_normal((60, 8))
    targets = inputs @ rng.standard_normal((8, 5))
    gram, cross, energy = moments(inputs, targets)
    best = sum(errors(gram, b, e)[4] for b, e in zip(cross, energy, strict=True))
    assert relaxed_bounds(gram, cross, energy, np.full(5, 4)).sum() > 0.5 * best


def test_most_of_the_error_of_a_wide_layer_is_proven_to_be_needed():
    """Branch and bound has nothing to say of a hundred inputs and twenty weights."""
    rng = np.random.default_rng(0)
    inputs, weight = rng.standard_normal((400, 100)), rng.standard_normal((100, 20))
    gram, cross, energy = moments(inputs, inputs @ weight)
    wanted = np.zeros(weight.shape, bool)
    wanted[:20] = True
    problem = Reconstruction(gram, cross.T, 0.0, np.zeros(100), np.zeros(20), energy)
    found, _ = AlternatingDirections(threads=1).solve(problem, wanted)
    error = np.mean((inputs @ (found - weight)) ** 2, axis=0).sum()
    assert 0.5 * error < relaxed_bounds(gram, cross, energy, np.array([400]))[0] <= error


def test_without_time_or_where_all_inputs_depend_nothing_is_known():
    inputs = np.ones((10, 3))
    gram, cross, energy = moments(inputs, np.ones((10, 2)))
    assert (relaxed_bounds(gram, cross, energy, np.array([1, 2])) == -np.inf).all()
    assert (relaxed_bounds(np.eye(3), np.ones((2, 3)), np.full(2, 3.0), np.array([1, 2]), Clock(0.0)) == -np.inf).all()


def test_what_rounding_could_hide_is_no_split():
    assert is_split(np.eye(4), np.full(4, 0.5))
    assert not is_split(np.eye(4), np.ones(4))
    assert not is_split(np.eye(4), np.array([0.5, 0.5, 0.5, 0.0]))


@settings(deadline=None, max_examples=10)
@given(st.integers(0, 10**6))
def test_diagonals_of_their_own_are_bounds_too(seed):
    rng = np.random.default_rng(seed)
    inputs = rng.standard_normal((30, 6)) + 0.5 * rng.standard_normal((30, 1))
    targets = rng.standard_normal((30, 3)) + inputs @ rng.standard_normal((6, 3))
    gram, cross, energy = moments(inputs, targets)
    counts = rng.integers(0, 7, 3)
    best = np.array([errors(gram, b, e)[count] for b, e, count in zip(cross, energy, counts, strict=True)])
    shared, own = (relaxed_bounds(gram, cross, energy, counts, own=own) for own in (False, True))
    assert (shared <= own).all()
    assert (own <= best + 1e-9 * energy).all()


def test_diagonals_of_their_own_say_more_of_outputs_that_need_different_inputs():
    """Of inputs with much in common, a diagonal can be large only where an output has little else to lose."""
    rng = np.random.default_rng(0)
    inputs = rng.standard_normal((200, 24)) + 2 * rng.standard_normal((200, 2)) @ rng.standard_normal((2, 24))
    weight = rng.standard_normal((24, 6)) * (rng.random((24, 6)) < 0.5)
    gram, cross, energy = moments(inputs, inputs @ weight)
    shared, own = (relaxed_bounds(gram, cross, energy, np.array([30]), own=own)[0] for own in (False, True))
    assert own > 1.02 * shared


def test_one_step_from_the_shared_diagonal_says_more_and_stays_below_the_best(monkeypatch):
    """All that a layer of more than a thousand inputs gets; here such a layer has eight."""
    monkeypatch.setattr(layer_relaxation, "NEAR_INPUTS", 0)
    rng = np.random.default_rng(0)
    inputs = rng.standard_normal((60, 8)) + rng.standard_normal((60, 1))
    targets = inputs @ (rng.standard_normal((8, 5)) * (rng.random((8, 5)) < 0.5))
    gram, cross, energy = moments(inputs, targets)
    best = sum(errors(gram, b, e)[3] for b, e in zip(cross, energy, strict=True))
    shared, own = (relaxed_bounds(gram, cross, energy, np.full(5, 3), own=own).sum() for own in (False, True))
    assert shared < own <= best + 1e-9 * energy.sum()
