"""Schedules: how sparse the model is to be after each step of a run."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass

import numpy as np

from sparseopt.inputs import is_whole


class Schedule(ABC):
    """A sequence of sparsities that ends at the one that was asked for."""

    @abstractmethod
    def levels(self, sparsity) -> np.ndarray:
        """Sparsity after each step, not decreasing."""


@dataclass(frozen=True)
class OneShot(Schedule):
    """All at once."""

    def levels(self, sparsity):
        """The sparsity itself."""
        return np.array([float(sparsity)])


@dataclass(frozen=True)
class Linear(Schedule):
    """As many weights in each step: s t / n.

    Parameters
    ----------
    steps : int
        Steps that prune.
    held : int, default=0
        Further steps at the final sparsity, to train on.
    """

    steps: int
    held: int = 0

    def __post_init__(self):
        _check(self.steps, self.held)

    def levels(self, sparsity):
        """Sparsity after each step."""
        return _held(sparsity * _progress(self.steps), self.held)


@dataclass(frozen=True)
class Cubic(Schedule):
    """Fast at first, where weights are many and easy to miss: s (1 - (1 - t/n)^3).

    Parameters
    ----------
    steps : int
        Steps that prune.
    held : int, default=0
        Further steps at the final sparsity, to train on.

    References
    ----------
    Zhu and Gupta, "To prune, or not to prune" (2017).
    """

    steps: int
    held: int = 0

    def __post_init__(self):
        _check(self.steps, self.held)

    def levels(self, sparsity):
        """Sparsity after each step."""
        return _held(sparsity * (1 - (1 - _progress(self.steps)) ** 3), self.held)


@dataclass(frozen=True)
class Exponential(Schedule):
    """The same part of what is left in each step, as in iterative magnitude pruning: 1 - (1 - s)^(t/n).

    Parameters
    ----------
    steps : int
        Steps that prune.
    held : int, default=0
        Further steps at the final sparsity, to train on.
    first : float, default=0
        A sparsity that the first step goes to at once, where as much is easily missed; where no more is asked for,
        there is one step.

    References
    ----------
    Frankle and Carbin, "The Lottery Ticket Hypothesis" (2019).
    """

    steps: int
    held: int = 0
    first: float = 0.0

    def __post_init__(self):
        _check(self.steps, self.held)
        if not 0 <= self.first < 1:
            raise ValueError(f"first is {self.first}; give the sparsity of the first step, at least 0 and below 1.")

    def levels(self, sparsity):
        """Sparsity after each step."""
        if self.first and (self.steps == 1 or sparsity <= self.first):
            return _held(np.array([float(sparsity)]), self.held)
        left = 1 - self.first
        progress = np.arange(self.steps) / (self.steps - 1) if self.first else _progress(self.steps)
        levels = 1 - left * ((1 - sparsity) / left) ** progress
        levels[-1] = sparsity
        return _held(levels, self.held)


def _progress(steps):
    return np.arange(1, steps + 1) / steps


def _held(levels, held):
    return np.concatenate([levels, np.full(held, levels[-1])])


def _check(steps, held):
    if not (is_whole(steps) and steps >= 1):
        raise ValueError(f"steps is {steps!r}; give a whole number from 1.")
    if not (is_whole(held) and held >= 0):
        raise ValueError(f"held is {held!r}; give a whole number, 0 for none.")
