"""Stability selection: the columns that enter again and again on random halves of the rows."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from functools import partial

import numpy as np

from sparseopt.inputs import as_count, as_number
from sparseopt.path import Path, path
from sparseopt.selection.rows import check_rows, dealt, on_rows
from sparseopt.threads import JobProgress, count_threads, run_jobs


@dataclass(frozen=True, eq=False)
class StabilitySelection:
    """What `stability_selection` found.

    Attributes
    ----------
    penalties : tuple
        Fewer than were given where the time limit came first.
    probabilities : array of shape (penalties, p)
        Part of the halves on which each column was selected under each penalty.
    mean_selected : float
        Columns that a half selected under any of the penalties, on average: q.
    pairs : int
        Pairs of halves.
    threshold : float
        Probability from which a column is stable.
    """

    penalties: tuple
    probabilities: np.ndarray = field(repr=False)
    mean_selected: float
    pairs: int
    threshold: float
    feature_names: tuple | None = field(default=None, repr=False)

    @property
    def alphas(self):
        """Strength of each penalty, or k of each cardinality."""
        return Path((), self.penalties).alphas

    @property
    def stability(self):
        """Largest probability of each column over the penalties."""
        return self.probabilities.max(axis=0)

    @property
    def support(self):
        """Indices of the stable columns."""
        return np.flatnonzero(self.stability >= self.threshold)

    @property
    def support_names(self):
        """Names of the stable columns; their indices as text where the data had none."""
        names = self.feature_names or tuple(map(str, range(self.probabilities.shape[1])))
        return tuple(names[j] for j in self.support)

    @property
    def error_bound(self):
        """Bound on the expected number of stable columns that are noise: q**2 / ((2 threshold - 1) p).

        By Meinshausen and Buhlmann (2010, theorem 1) where noise columns are exchangeable and
        selection is no worse than guessing; without these assumptions it bounds the expected
        number of stable columns that one half selects with a probability of at most q / p
        (Shah and Samworth, 2013, theorem 1).
        """
        return self._scaled(2.0 * self.threshold - 1.0)

    @property
    def unimodal_error_bound(self):
        """The same, smaller, where the distribution of each column's probability is unimodal.

        Shah and Samworth (2013, theorem 2); nan where the theorem says nothing, because the
        threshold is near 1/2 or a half selects more than 1/sqrt(3) of the columns.
        """
        rate, slack = self.mean_selected / self.probabilities.shape[1], 0.5 / self.pairs
        least = min(0.5 + rate**2, 0.5 + slack + 0.75 * rate**2)
        if self.threshold <= least or rate > 1.0 / np.sqrt(3.0):
            return np.nan
        if self.threshold <= 0.75:
            return self._scaled(2.0 * (2.0 * self.threshold - 1.0 - slack))
        return self._scaled((1.0 + 1.0 / self.pairs) / (4.0 * (1.0 - self.threshold + slack)))

    def _scaled(self, divisor):
        return self.mean_selected**2 / (divisor * self.probabilities.shape[1])

    def __repr__(self):
        return (
            f"StabilitySelection({self.support.size} of {self.probabilities.shape[1]} columns stable at "
            f"{self.threshold:g}, at most {self.error_bound:.2g} of them expected to be noise)"
        )


def stability_selection(
    problem,
    penalties,
    *,
    pairs=50,
    threshold=0.75,
    seed=0,
    solver=None,
    tol=1e-4,
    max_iter=10_000,
    time_limit=np.inf,
    threads=None,
    progress=False,
) -> StabilitySelection:
    """Solve the path on random halves of the rows and count how often each column is selected.

    Meinshausen and Buhlmann (2010), with the complementary pairs of Shah and Samworth (2013):
    the rows are split into two halves again and again. A half is the loss with the weight zero
    on the other rows, so that X is not copied; classes are split evenly.

    Parameters
    ----------
    problem : Problem
        With a loss on samples; its own penalty (or constraint) is replaced.
    penalties : iterable of Penalty or Constraint
        From the strongest to the weakest. The weaker the last one, the more columns a half
        selects, and the larger is the bound on errors.
    pairs : int, default 50
        Splits; 50 of them is the choice of both papers.
    threshold : float in (0.5, 1], default 0.75
        Probability from which a column is stable; results vary little between 0.6 and 0.9.
    seed : int, default 0
        Of the splits; the same seed gives the same halves.
    tol : float, default 1e-4
        As in `path`; only supports are looked at.
    solver, max_iter
        As in `path`.
    time_limit : float, default inf
        Seconds for everything; where they are too few, the path is shorter.
    threads : int, optional
        Halves at a time; by default as many as there are cores. The result does not depend on it.
    progress : bool, default False
        Show how many halves are done on stderr.

    Returns
    -------
    StabilitySelection
    """
    check_rows(problem, "stability_selection")
    penalties = tuple(penalties) if isinstance(penalties, Iterable) else penalties
    pairs = as_count(pairs, "pairs", least=1)
    if not 0.5 < as_number(threshold, "threshold") <= 1.0:
        raise ValueError(f"threshold must lie in (0.5, 1], got {threshold:g}.")
    rng = np.random.default_rng(as_count(seed, "seed"))
    threads = count_threads(threads, 2 * pairs)
    seconds = as_number(time_limit, "time_limit", least=0.0, finite=False) / -(-2 * pairs // threads)
    follow = partial(path, penalties=penalties, solver=solver, tol=tol, max_iter=max_iter, time_limit=seconds)
    sides = [dealt(problem.loss, 2, rng) for _ in range(pairs)]
    jobs = [partial(_selected, follow, problem, side == one) for side in sides for one in (0, 1)]
    shown = JobProgress("stability_selection", len(jobs), "halves") if progress else None
    selected = run_jobs(jobs, threads, shown)
    reached = min(map(len, selected))
    selected = np.stack([half[:reached] for half in selected])
    return StabilitySelection(
        penalties=penalties[:reached],
        probabilities=selected.mean(axis=0),
        mean_selected=float(selected.any(axis=1).sum(axis=1).mean()),
        pairs=pairs,
        threshold=float(threshold),
        feature_names=problem.loss.feature_names,
    )


def _selected(follow, problem, rows):
    """Which columns have a coefficient, for any output, under each penalty, on some rows."""
    w = follow(replace(problem, loss=on_rows(problem.loss, rows, "a half of the rows"))).w
    return w.any(axis=2) if w.ndim == 3 else w != 0.0
