"""Cross-validation: each fold is a path on the other rows, scored on its own.

A fold is the loss with the weight zero on the rows that it holds out. All folds share one X,
and they run side by side in threads, since kernels and matrix products release the GIL.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from numbers import Integral

import numpy as np

from sparseopt.inputs import as_count, as_number
from sparseopt.losses import LeastSquares, SampleLoss
from sparseopt.path import Path, path
from sparseopt.selection.rows import check_rows, dealt, on_rows, row_errors, row_weights
from sparseopt.threads import JobProgress, count_threads, run_jobs

# Fitted values of all solutions of a fold that are looked at together: calls take most of the time there.
_TOGETHER = 1 << 18


@dataclass(frozen=True, eq=False)
class CrossValidation:
    """What `cross_validate` found.

    Attributes
    ----------
    path : Path
        On all rows. It and `errors` are shorter than the penalties where the time limit came first.
    errors : array of shape (folds, penalties)
        Error on the rows that each fold held out.
    fold_weights : array of shape (folds,)
        Part of the weight of the data that each fold held out.
    """

    path: Path
    errors: np.ndarray = field(repr=False)
    fold_weights: np.ndarray = field(repr=False)

    @property
    def penalties(self):
        """The penalties (or constraints) that were compared."""
        return self.path.terms

    @cached_property
    def mean(self):
        """Mean error of each penalty; folds count by the weight of their rows."""
        return np.average(self.errors, axis=0, weights=self.fold_weights)

    @cached_property
    def standard_error(self):
        """Standard error of the mean, from the spread between folds; nan with one fold."""
        folds = len(self.errors)
        if folds == 1:
            return np.full(self.errors.shape[1], np.nan)
        spread = np.average((self.errors - self.mean) ** 2, axis=0, weights=self.fold_weights)
        return np.sqrt(spread / (folds - 1))

    @property
    def best(self):
        """Index of the penalty with the least mean error; of equal ones the first, which is the strongest."""
        return int(np.argmin(self.mean))

    @property
    def one_standard_error(self):
        """Index of the first penalty within one standard error of the best (Breiman et al., 1984)."""
        best = self.best
        threshold = self.mean[best] + np.nan_to_num(self.standard_error[best])
        return int(np.flatnonzero(self.mean <= threshold)[0])

    @property
    def best_penalty(self):
        """The penalty with the least mean error."""
        return self.penalties[self.best]

    @property
    def one_standard_error_penalty(self):
        """The strongest penalty within one standard error of the best."""
        return self.penalties[self.one_standard_error]

    @property
    def solution(self):
        """The solution on all rows under the best penalty."""
        return self.path[self.best]

    @property
    def one_standard_error_solution(self):
        """The solution on all rows under the strongest penalty within one standard error of the best."""
        return self.path[self.one_standard_error]

    def __repr__(self):
        best, simple = self.best, self.one_standard_error
        return (
            f"CrossValidation({len(self.errors)} folds, best {self.best_penalty!r} with error {self.mean[best]:.4g} "
            f"and support {self.path[best].support.size}, within one standard error {self.one_standard_error_penalty!r} "
            f"with support {self.path[simple].support.size})"
        )


def cross_validate(
    problem,
    penalties,
    folds=5,
    *,
    error=None,
    seed=0,
    solver=None,
    tol=1e-6,
    max_iter=10_000,
    time_limit=np.inf,
    threads=None,
    progress=False,
) -> CrossValidation:
    """Compare penalties by the error on rows that were held out (Stone, 1974).

    Parameters
    ----------
    problem : Problem
        With a loss on samples; its own penalty (or constraint) is replaced.
    penalties : iterable of Penalty or Constraint
        From the strongest to the weakest, as in `path`.
    folds : int, array or iterable, default 5
        A number of folds, drawn with `seed` and each with its share of every class; the number
        of its fold for each row; or pairs (training rows, held-out rows), as the splitters of
        scikit-learn give them.
    error : callable, optional
        ``error(y, z, weights)`` is a number, the smaller the better, for targets, fitted values
        X w + b and weights (with sum one) of the held-out rows. By default it is the loss itself,
        the weighted mean of phi(y_i, z_i): half the mean square, or half the deviance.
    seed : int, default 0
        Of the folds; the same seed gives the same folds.
    solver, tol, max_iter
        As in `path`.
    time_limit : float, default inf
        Seconds for everything; where they are too few, fewer penalties are compared.
    threads : int, optional
        Folds at a time; by default as many as there are cores, because X is not copied for
        them. The result does not depend on it.
    progress : bool, default False
        Show how many folds are done on stderr.

    Returns
    -------
    CrossValidation

    Raises
    ------
    ValueError, TypeError
        Where folds do not fit the rows, or a fold trains on one class only.

    Examples
    --------
    >>> import numpy as np
    >>> from sparseopt import L1, LeastSquares, Problem, alpha_grid, cross_validate
    >>> X = np.random.default_rng(0).standard_normal((60, 8))
    >>> loss = LeastSquares(X, 3 * X[:, 0] - X[:, 5])
    >>> found = cross_validate(Problem(loss), [L1(alpha) for alpha in alpha_grid(loss, 20)])
    >>> found.one_standard_error_solution.support
    array([0, 5])
    """
    check_rows(problem, "cross_validate")
    if error is not None and not callable(error):
        raise TypeError(
            f"error must be a function of y, z and weights, got {error!r:.60}; leave it out for the loss itself."
        )
    penalties = tuple(penalties) if isinstance(penalties, Iterable) else penalties
    weights = row_weights(problem.loss)
    pairs = _fold_multiples(problem.loss, folds, seed)
    threads = count_threads(threads, len(pairs) + 1)
    # the runs of one thread follow each other, and each has its share of the time
    seconds = as_number(time_limit, "time_limit", least=0.0, finite=False) / -(-(len(pairs) + 1) // threads)
    follow = partial(path, penalties=penalties, solver=solver, tol=tol, max_iter=max_iter, time_limit=seconds)
    training = [on_rows(problem.loss, rows, f"the training part of fold {k}") for k, (rows, _) in enumerate(pairs)]
    scored = [_normalised(weights * rows, f"the held-out part of fold {k}") for k, (_, rows) in enumerate(pairs)]
    jobs = [partial(follow, problem)]
    jobs += [
        partial(_fold_errors, follow, replace(problem, loss=loss), held, error)
        for loss, held in zip(training, scored, strict=True)
    ]
    shown = JobProgress("cross_validate", len(jobs), "paths") if progress else None
    whole, *errors = run_jobs(jobs, threads, shown)
    reached = min(map(len, (whole, *errors)))
    return CrossValidation(
        path=whole if reached == len(whole) else Path(whole.solutions[:reached], whole.terms[:reached]),
        errors=np.stack([row[:reached] for row in errors]),
        fold_weights=np.array([np.sum(weights * rows) for _, rows in pairs]),
    )


def _fold_errors(follow, problem, weights, error):
    """Error of each solution of the path on the rows that have a weight."""
    held, loss = np.flatnonzero(weights), problem.loss
    found = follow(problem)
    if error is None and isinstance(loss, LeastSquares | SampleLoss) and len(found) * len(loss.y) <= _TOGETHER:
        return row_errors(loss, _fitted_together(loss, found))[:, held] @ weights[held]
    fits = (loss.predict(solution.w.astype(np.float64)) for solution in found)
    if error is None:
        return np.array([float(weights[held] @ row_errors(loss, z)[held]) for z in fits])
    return np.array([_as_error(error(loss.y[held], z[held], weights[held])) for z in fits])


def _fitted_together(loss, found):
    """Fitted values of each solution, one a row."""
    image = np.asarray(loss.X.matvec(np.asfortranarray(found.w.T, dtype=np.float64))).T
    if isinstance(loss, LeastSquares):
        return image + (loss.y - loss.target)
    return loss.offset.added_to(image + found.intercepts[:, None])


def _as_error(found):
    """What a function of the user's says of one fit."""
    found = np.asarray(found)
    if found.size != 1 or found.dtype.kind not in "biuf" or np.isnan(found).any():
        raise ValueError(f"error returned {found!r:.60}; it must return one number, the smaller the better.")
    return float(found.reshape(()))


def _normalised(weights, part):
    total = weights.sum()
    if not total > 0.0:
        raise ValueError(f"{part} has no row with a positive weight; give fewer folds, or other weights.")
    return weights / total


def _fold_multiples(loss, folds, seed):
    """For each fold, how often each row is trained on, and how often it is scored."""
    n = len(loss.y)
    if isinstance(folds, Integral) and not isinstance(folds, bool):
        count = as_count(folds, "folds", least=2)
        if count > n:
            raise ValueError(f"folds = {count} exceeds the number of rows, {n}; give at most {n}.")
        folds = dealt(loss, count, np.random.default_rng(as_count(seed, "seed")))
    if isinstance(folds, np.ndarray) and folds.ndim == 1:
        if folds.shape != (n,) or np.unique(folds).size < 2:
            raise ValueError(
                f"folds must number the fold of each of the {n} rows, with at least two folds; got shape {folds.shape}."
            )
        held = [folds == fold for fold in np.unique(folds)]
        return [((~rows).astype(np.float64), rows.astype(np.float64)) for rows in held]
    if not isinstance(folds, Iterable):
        raise TypeError(
            f"folds must be a number, an array of one number a row, or pairs of index arrays; got {folds!r:.60}."
        )
    pairs = [tuple(_counts(rows, n) for rows in _pair(fold)) for fold in folds]
    if not pairs:
        raise ValueError("folds is empty; give at least one pair of training and held-out rows.")
    return pairs


def _pair(fold):
    if not isinstance(fold, tuple | list) or len(fold) != 2:
        raise TypeError(f"a fold must be a pair (training rows, held-out rows), got {fold!r:.60}.")
    return fold


def _counts(rows, n):
    """How often each row is named; by indices (of a bootstrap, too) or a boolean mask."""
    rows = np.asarray(rows)
    if rows.dtype == bool and rows.shape == (n,):
        return rows.astype(np.float64)
    if rows.ndim != 1 or rows.dtype.kind not in "iu" or rows.size == 0 or rows.min() < -n or rows.max() >= n:
        raise ValueError(f"rows of a fold must be a vector of indices below {n}, or a boolean mask of shape ({n},).")
    return np.bincount(rows % n, minlength=n).astype(np.float64)
