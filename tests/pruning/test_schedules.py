"""Schedules end where they should, and stop rules read the trace."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparseopt.pruning import Cubic, Exponential, Iterations, Linear, OneShot, QualityLoss, SparsityReached, Step

SCHEDULES = [Linear, Cubic, Exponential]


@given(st.sampled_from(SCHEDULES), st.integers(1, 20), st.integers(0, 5), st.floats(0, 0.999))
def test_a_schedule_rises_to_the_sparsity_and_stays_there(kind, steps, held, sparsity):
    levels = kind(steps, held=held).levels(sparsity)
    assert levels.shape == (steps + held,)
    assert (np.diff(levels) >= 0).all()
    assert (levels >= 0).all()
    assert (levels[steps - 1 :] == sparsity).all()


def test_schedules_are_their_formulas():
    assert OneShot().levels(0.9).tolist() == [0.9]
    np.testing.assert_allclose(Linear(3).levels(0.9), [0.3, 0.6, 0.9])
    np.testing.assert_allclose(Cubic(2).levels(0.8), [0.8 * 7 / 8, 0.8])
    np.testing.assert_allclose(1 - Exponential(3).levels(0.875), [1 / 2, 1 / 4, 1 / 8])


@pytest.mark.parametrize("kind", SCHEDULES)
def test_wrong_steps_are_told_at_the_door(kind):
    for steps, held in ((0, 0), (2.5, 0), (3, -1)):
        with pytest.raises(ValueError, match="whole number"):
            kind(steps, held=held)


def step(kept, quality):
    return Step(0.5, kept, 100, quality, 0.1, 1.0)


def test_stop_rules_say_why():
    steps = [step(60, 0.95), step(20, 0.91)]
    assert Iterations(3).reason(steps, 0.96) is None
    assert "2 steps" in Iterations(2).reason(steps, 0.96)
    assert SparsityReached(0.9).reason(steps, 0.96) is None
    assert "80.0%" in SparsityReached(0.8).reason(steps, 0.96)
    assert QualityLoss(0.05).reason(steps, 0.96) is None
    assert "0.91" in QualityLoss(0.04).reason(steps, 0.96)
    assert "fell" in QualityLoss(0.04).reason([step(20, np.nan)], 0.96)


@pytest.mark.parametrize("mistake", [lambda: Iterations(0), lambda: SparsityReached(1), lambda: QualityLoss(-0.1)])
def test_wrong_rules_are_told_at_the_door(mistake):
    with pytest.raises(ValueError, match="give"):
        mistake()


def test_an_exponential_schedule_may_begin_with_a_leap():
    """A tenth is left at once, then as large a part of it in each step."""
    levels = Exponential(3, held=1, first=0.9).levels(0.99)
    np.testing.assert_allclose(1 - levels, [0.1, 0.1 / np.sqrt(10), 0.01, 0.01])
    assert Exponential(3, first=0.9).levels(0.8).tolist() == [0.8]
    with pytest.raises(ValueError, match="below 1"):
        Exponential(3, first=1)
