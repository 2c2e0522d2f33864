"""Blocks of rows: elimination and exchanges against brute force, and against single rows."""

import itertools

import numpy as np
import pytest

from sparseopt.pruning.block_selection import BlockSelection
from sparseopt.pruning.row_selection import RowSelection


def blocks(size=6, width=3, q=2, seed=0):
    rng = np.random.default_rng(seed)
    p = size * width
    A = rng.standard_normal((80, p)) @ rng.standard_normal((p, p))
    gram = A.T @ A / 80 + 0.1 * np.eye(p)
    return BlockSelection(gram, gram @ rng.standard_normal((p, q)), width)


def least(selection, support):
    rows = [j * selection.width + place for j in support for place in range(selection.width)]
    gram, cross = selection.gram[np.ix_(rows, rows)], selection.cross[rows]
    return -np.sum(cross * np.linalg.solve(gram, cross)) / 2


@pytest.mark.parametrize("q", [1, 4, 40])
def test_the_chosen_blocks_are_the_best_of_all(q):
    for seed in range(4):
        selection = blocks(q=q, seed=seed)
        kept = np.flatnonzero(selection.best(3, 4).kept)
        best = min(least(selection, support) for support in itertools.combinations(range(6), 3))
        assert least(selection, kept) == pytest.approx(best, rel=1e-9)


def test_each_eliminated_block_is_the_cheapest_and_its_loss_exact():
    selection = blocks()
    order, losses = selection.elimination
    left = set(range(6))
    for gone, loss in zip(order, losses, strict=True):
        costs = {j: least(selection, left - {j}) - least(selection, left) for j in left}
        assert gone == min(costs, key=costs.get)
        assert loss == pytest.approx(costs[gone], rel=1e-9, abs=1e-9)
        left.discard(gone)


def test_gains_are_those_of_the_exchanges():
    selection = blocks(seed=3)
    support, others = np.array([0, 2, 5]), np.array([1, 3, 4])
    inverse, W, height = selection._fit(support)
    gains = selection._gains(support, others, inverse, W)
    for (j, out), (i, new) in itertools.product(enumerate(support), enumerate(others)):
        after = least(selection, [*(s for s in support if s != out), new])
        assert gains[j, i] == pytest.approx(height - after, rel=1e-8, abs=1e-9)


def test_blocks_of_one_row_are_rows():
    selection = blocks(size=9, width=1)
    rows = RowSelection(selection.gram, selection.cross)
    np.testing.assert_array_equal(selection.elimination[0], rows.elimination[0])
    np.testing.assert_allclose(selection.elimination[1], rows.elimination[1], rtol=1e-9)
    np.testing.assert_array_equal(selection.best(4, 2).kept, rows.best(4, 2, 0).kept)
    assert selection.best(9, 2).kept.all()
