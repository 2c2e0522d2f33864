"""Bounds by blocks of inputs: below brute force whatever the inputs, and exact where blocks have nothing in common."""

import itertools
from dataclasses import replace

import numpy as np
import pytest
import scipy
from layer_errors import errors, moments

from sparseopt.pruning import layer_relaxation
from sparseopt.pruning.clock import Clock
from sparseopt.pruning.layer_blocks import INNER, Blocks, block_bounds, grouped, inverse_of, is_semidefinite
from sparseopt.pruning.layer_relaxation import Relaxation, isotropic, raised, relaxed_bounds


def posed(seed=0, inputs=7, outputs=3, counts=(9,)):
    """A relaxation, blocks that are not diagonal, and a point."""
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((60, inputs)) + rng.standard_normal((60, 1))
    T = rng.standard_normal((60, outputs)) + X @ rng.standard_normal((inputs, outputs))
    relaxation = Relaxation.scaled(*moments(X, T), np.array(counts))
    diagonal = isotropic(relaxation.gram)
    blocks = Blocks.of(relaxation, diagonal, 4)
    common = np.full((4, 4), 0.1) + 0.2 * np.eye(4)
    blocks = replace(blocks, within=diagonal[0] * common / np.linalg.eigvalsh(common)[-1] * np.ones((2, 1, 1)))
    return relaxation, blocks, rng.standard_normal((outputs, 8)), np.full(len(counts), 0.3)


def about(relaxation):
    return relaxation.gram, relaxation.cross, relaxation.energy, relaxation.counts


def test_blocks_with_nothing_in_common_leave_what_a_price_leaves():
    """Where the Gram has blocks the bound is the dual of the count, which one price for all weights gives by brute force."""
    rng = np.random.default_rng(0)
    roots = rng.standard_normal((3, 6, 4)) + 1.5 * rng.standard_normal((3, 6, 1))
    parts = [root.T @ root / 6 for root in roots]
    weight = rng.standard_normal((8, 12))
    gram = scipy.linalg.block_diag(*parts)
    cross = weight @ gram
    energy = np.einsum("ij,ij->i", weight, cross)
    tables = []
    for place, part in enumerate(parts):
        own = slice(4 * place, 4 * place + 4)
        tables += [errors(part, b, w @ part @ w) for b, w in zip(cross[:, own], weight[:, own], strict=True)]
    prices = np.linspace(0, 10, 10_001)
    charged = sum(np.min(table + prices[:, None] * np.arange(5), axis=1) for table in tables)
    dual = np.max(charged - 40 * prices)
    shared, blocks = (relaxed_bounds(gram, cross, energy, np.array([40]), blocks=way)[0] for way in (False, True))
    # Shorter by the last barrier and temperature, parts of what the weights at the border gain.
    assert shared < 0.9 * dual
    assert 0.98 * dual < blocks <= dual * (1 + 1e-6)


def test_a_bound_is_the_formula_over_all_sets_of_each_block():
    """Written out: every set, its matrix solved."""
    _, blocks, x, prices = posed()
    rest = blocks.gram - scipy.linalg.block_diag(*blocks.within)
    expected = blocks.energy.sum() - np.sum((x @ rest) * x) - prices[0] * blocks.counts[0]
    for c, (place, part) in itertools.product(blocks.cross - x @ rest, enumerate(blocks.within)):
        own = c[4 * place : 4 * place + 4]
        sets = [list(S) for size in range(1, 5) for S in itertools.combinations(range(4), size)]
        gains = (own[S] @ np.linalg.solve(part[np.ix_(S, S)], own[S]) - prices[0] * len(S) for S in sets)
        expected -= max(0.0, *gains)
    found = blocks.bounds(x, prices)[0]
    assert expected - 1e-6 * abs(expected) < found <= expected


def test_what_is_not_proven_to_be_split_is_no_bound():
    _, blocks, x, prices = posed()
    assert np.isfinite(blocks.bounds(x, prices)).all()
    too_large = replace(blocks, within=blocks.within + 3 * np.eye(4))
    assert (too_large.bounds(x, prices) == -np.inf).all()
    nearly_singular = replace(blocks, within=np.full((2, 4, 4), 1e-3) + 1e-12 * np.eye(4))
    assert (nearly_singular.bounds(x, prices) == -np.inf).all()
    assert is_semidefinite(0.5 * np.eye(3))
    assert not is_semidefinite(np.ones((3, 3)))


def test_slopes_are_those_of_the_smooth_value():
    """In x, the price and B, by differences to both sides."""
    _, blocks, x, prices = posed()
    rng = np.random.default_rng(1)
    temperature = 0.3
    heats = blocks._heats(prices, temperature)

    def value(x, prices, within):
        moved = replace(blocks, within=within)
        return moved._value(x, x @ moved.rest, prices, heats)[0]

    def slope(dx, dp, dw, step=1e-5):
        ends = [value(x + s * dx, prices + s * dp, blocks.within + s * dw) for s in (step, -step)]
        return (ends[0] - ends[1]) / (2 * step)

    _, move, excess = blocks._value(x, x @ blocks.rest, prices, heats)
    dx, dw = rng.standard_normal(x.shape), rng.standard_normal(blocks.within.shape)
    dw = dw + dw.transpose(0, 2, 1)
    nothing = np.zeros_like(x), np.zeros(1), np.zeros_like(dw)
    assert slope(dx, *nothing[1:]) == pytest.approx(2 * np.vdot(move @ blocks.rest, dx), rel=1e-6)
    assert slope(nothing[0], np.ones(1), nothing[2]) == pytest.approx(excess[0], rel=1e-6)
    worth = blocks.worth(x, prices, temperature)
    assert slope(*nothing[:2], dw) == pytest.approx(np.vdot(worth, dw), rel=1e-6)


def test_blocks_end_where_worth_and_barrier_balance():
    """Newton's method on a concave function: its slope is gone after some choices."""
    _, blocks, *_ = posed(inputs=8)
    roots = np.random.default_rng(2).standard_normal((2, 4, 6))
    worth = roots @ roots.transpose(0, 2, 1)
    barrier = 0.3 * np.vdot(worth, blocks.within) / blocks.inputs
    for _ in range(10):
        blocks = blocks.raised(worth, barrier, Clock())
    inverse = inverse_of(blocks.rest).reshape(2, 4, 2, 4)
    within = np.array([inverse[i, :, i] for i in range(2)])
    slope = worth - barrier * (within - INNER * np.linalg.inv(blocks.within))
    assert np.abs(slope).max() < 1e-6 * np.abs(worth).max()


def test_inputs_of_a_block_are_those_with_most_in_common():
    inverse = np.eye(6)
    for a, b in ((0, 4), (1, 3), (2, 5)):
        inverse[a, b] = inverse[b, a] = 0.5 + a / 10
    assert {frozenset(pair) for pair in grouped(inverse, 2).reshape(3, 2).tolist()} == {
        frozenset(pair) for pair in ((0, 4), (1, 3), (2, 5))
    }


def test_blocks_are_for_as_many_inputs_as_memory_takes(monkeypatch):
    """Newton's matrix grows with the square of the inputs, six times as fast as the Gram."""
    relaxation, *_ = posed()
    shared, blocks = (relaxed_bounds(*about(relaxation), blocks=way) for way in (False, True))
    assert shared < blocks
    monkeypatch.setattr(layer_relaxation, "BLOCK_INPUTS", 6)
    assert relaxed_bounds(*about(relaxation), blocks=True) == shared


def test_without_time_a_bound_is_that_of_the_beginning():
    relaxation, *_ = posed()
    diagonal = raised(relaxation.gram, isotropic(relaxation.gram), np.ones(7), 1.0, 5, Clock())
    x = relaxation.cross @ np.linalg.inv(relaxation.gram)
    bound = block_bounds(relaxation, diagonal, x, Clock(0.0))
    assert np.isfinite(bound).all()
    assert bound[0] <= block_bounds(relaxation, diagonal, x, Clock())[0]
