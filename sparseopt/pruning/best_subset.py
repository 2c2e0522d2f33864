"""The best features of a linear model, with as much shrinkage in the search as the noise asks for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from scipy import sparse

from sparseopt.certificate import certify
from sparseopt.constraints import Cardinality, RowCardinality
from sparseopt.losses import LeastSquares
from sparseopt.penalties import Ridged, Zero
from sparseopt.problem import Problem
from sparseopt.pruning.evidence import likeliest_ridge
from sparseopt.pruning.feature_methods import standardised
from sparseopt.pruning.features import FeatureMethod, Selection
from sparseopt.pruning.foresight import foreseeing
from sparseopt.pruning.row_selection import RowSelection, many_selections
from sparseopt.solution import UnsupportedProblem
from sparseopt.solve import solve
from sparseopt.solvers.branch_and_bound import BranchAndBound
from sparseopt.solvers.subsets.gram_rows import GramRows
from sparseopt.solvers.subsets.subset_search import SubsetSearch
from sparseopt.solvers.subsets.subset_state import SubsetState

# Ridges that are compared unless others are given.
_RIDGES = (0.0, 0.01, 0.1, 0.3, 1.0, 3.0, 100.0)
# What makes a Gram matrix of dependent columns invertible; of unit variance each.
_LEAST_RIDGE = 1e-8
# Features up to which all folds and ridges are searched in one.
_SMALL = 40
# Features up to which those that fit noise are exchanged: twenty eliminations are cubic in their number.
_COMPARED = 200
# Random changes of the best support before a search ends.
_KICKS = 10
# Features that take part in the choice of the ridge, the likeliest of each fold, at least and for each one to be kept.
_LIKELY, _LIKELY_EACH = 512, 16


@dataclass(frozen=True, kw_only=True)
class BestSubset(FeatureMethod):
    """The k features that explain y best by least squares, found by local search with a ridge.

        minimise over w   |X w - y|^2 / (2 n) + ridge |w|^2 / 2   subject to   at most k nonzero rows of w

    with columns of unit variance. The ridge is against noise: none gives the best fit to these samples, which is overfitted
    where there are many features and much noise, and a very large one the features that correlate most with y. With fewer
    features than samples it is the one under which y is likeliest, all coefficients being of one size before y is known
    (MacKay, 1992). Otherwise, or where `ridges` are given, it is chosen by cross-validation of the unshrunken refit: the least
    whose error is within one standard error of the lowest, since only evidence should lead away from the best fit. Of
    several outputs or classes, which are fitted as indicators, a feature serves all or none.

    Where the samples support fewer than k features, the places that are left would go to those that fit the noise best, which
    foresee worse than any. Where neither `ridges` nor a proof are asked for, there is one output and at most 200 features,
    features are exchanged as long as that brings the refit nearer to a model of reference: the mean of a lasso, its
    strength by cross-validation, and of the best features of twenty halves of the samples.

    Parameters
    ----------
    ridges : sequence of float or float, optional
        Of which one is taken by cross-validation; one alone is taken as it is. Unless given, see above; from 0 to 100 where
        there are as many features as samples.
    folds : int, default=5
    proof_time : float, default=0
        Seconds for a branch and bound, which proves the features best under the chosen ridge, or replaces them.

    References
    ----------
    Mazumder, Radchenko and Dedieu, "Subset selection with shrinkage: sparse linear modeling when the SNR is low" (2023).
    MacKay, "Bayesian interpolation" (1992).
    Lindley, "The choice of variables in multiple regression" (1968).
    Breiman, "Heuristics of instability and stabilization in model selection" (1996).
    """

    ridges: float | Sequence[float] | None = None
    folds: int = 5
    proof_time: float = 0.0

    def __post_init__(self):
        if self.ridges is not None:
            object.__setattr__(self, "ridges", tuple(map(float, np.atleast_1d(self.ridges))))
            if not self.ridges or not all(0 <= ridge < np.inf for ridge in self.ridges):
                raise ValueError(f"ridges is {self.ridges}; give numbers from 0.")
        if self.folds < 2:
            raise ValueError(f"folds is {self.folds}; give 2 or more.")
        if not self.proof_time >= 0:
            raise ValueError(f"proof_time is {self.proof_time}; give seconds, 0 for no proof.")

    def select(self, data, count, clock):
        """Choose the ridge, search with it on all samples and, if asked, prove."""
        X, y = standardised(data)
        ridge = self._ridge(X, y, count, data.seed)
        support = _search(X, y, count, _KICKS)(ridge)
        certificate, proof_time = None, min(self.proof_time, clock.limit - clock.seconds)
        if self.proof_time and proof_time > 0:
            support, certificate = _proven(X, y, count, ridge, support, proof_time)
        elif self.ridges is None and not self.proof_time and y.ndim == 1 and count < data.size <= _COMPARED:
            noise = ridge if data.size < len(y) else likeliest_ridge(X, y, data.seed)
            support = foreseeing(X, y, support, noise, data.seed, clock)
        kept = np.zeros(data.size, bool)
        kept[support] = True
        scores = _explained_without(X, y, kept)
        # Features that explain nothing more take the places that are left.
        kept |= Selection.highest(np.where(kept, -1.0, scores), count - int(kept.sum())).kept
        return Selection(kept, scores, certificate)

    def _ridge(self, X, y, count, seed):
        """The ridge that is given, likeliest, or best on samples that were held out."""
        ridges, (n, p) = self.ridges, X.shape
        if ridges is None and p < n:
            return likeliest_ridge(X, y, seed)
        ridges = _RIDGES if ridges is None else ridges
        return ridges[0] if len(ridges) == 1 else self._validated(ridges, X, y, count, seed)

    def _validated(self, ridges, X, y, count, seed):
        """The ridge of the least error of the refit on samples that were held out."""
        n, p = X.shape
        folds = min(self.folds, n)
        fold = np.random.default_rng(seed).permutation(n) % folds
        if p <= _SMALL and count < p and not sparse.issparse(X):
            supports = _many_supports(ridges, X, y, count, fold)
        else:
            supports = ([search(ridge) for ridge in ridges] for search in _searches(X, y, count, fold))
        errors = np.empty((len(ridges), n))
        for held, found in enumerate(supports):
            inside, outside, known = fold != held, fold == held, {}
            for i, support in enumerate(found):
                key = support.tobytes()
                if key not in known:
                    known[key] = _held_out(X[:, support], y, inside, outside)
                errors[i, outside] = known[key]
        return ridges[_least_within_noise(errors, ridges)]


def _many_supports(ridges, X, y, count, fold):
    """Supports for each fold and ridge, of shape (folds, ridges, count), all in one."""
    folds, p = fold.max() + 1, X.shape[1]
    Y = y.reshape(len(y), -1)
    gram, cross = np.empty((folds, p, p)), np.empty((folds, p, Y.shape[1]))
    for held in range(folds):
        A, B = X[fold != held], Y[fold != held]
        A, B = A - A.mean(axis=0), B - B.mean(axis=0)
        gram[held], cross[held] = A.T @ A / len(A), A.T @ B / len(A)
    damping = np.maximum(ridges, _LEAST_RIDGE)[:, None, None] * np.eye(p)
    grams = (gram[:, None] + damping).reshape(-1, p, p)
    found = many_selections(grams, np.repeat(cross, len(ridges), axis=0), count)
    return found.reshape(folds, len(ridges), count)


def _searches(X, y, count, fold):
    """For each fold a search on the others' samples, and on the features that go with y there most.

    Which ridge is best hardly depends on the others (screening: Fan and Lv, 2008), and they would take nearly all the time.
    """
    for held in range(fold.max() + 1):
        inside = fold != held
        part, wanted = X[inside], y[inside] - y[inside].mean(axis=0)
        likely, most = np.arange(X.shape[1]), max(_LIKELY, _LIKELY_EACH * count)
        if likely.size > most:
            slopes = np.sum(np.asarray(part.T @ wanted).reshape(likely.size, -1) ** 2, axis=1)
            likely = np.sort(np.argsort(-slopes, kind="stable")[:most])
            part = part[:, likely]
        centre = 0.0 if sparse.issparse(X) else part.mean(axis=0)
        search = _search(part if sparse.issparse(X) else part - centre, wanted, count)
        yield lambda ridge, search=search, likely=likely: likely[search(ridge)]


def _held_out(X, y, inside, outside):
    """Squared error of each of some samples by least squares on the others."""
    part, other, wanted = _dense(X[inside]), _dense(X[outside]), y[inside]
    centre, mean = part.mean(axis=0), wanted.mean(axis=0)
    part = part - centre
    # Columns that are constant in a fold, or copies, would make it singular.
    gram = part.T @ part + len(part) * _LEAST_RIDGE * np.eye(part.shape[1])
    w = np.linalg.solve(gram, part.T @ (wanted - mean))
    return np.sum((y[outside] - mean - (other - centre) @ w).reshape(len(other), -1) ** 2, axis=1)


def _least_within_noise(errors, ridges):
    """Place of the least ridge whose mean error is within one standard error of the lowest.

    The standard error is that of the differences, sample by sample: a few outliers do not decide.
    """
    more = errors - errors[np.argmin(errors.mean(axis=1))]
    noise = more.std(axis=1) / np.sqrt(more.shape[1])
    within = more.mean(axis=1) <= noise + 1e-12 * errors.mean()
    return min(np.flatnonzero(within), key=lambda i: ridges[i])


def _dense(X):
    return X.toarray() if sparse.issparse(X) else X


def _search(X, y, count, kicks=0):
    """A function of the ridge that gives the best support it finds, sorted."""
    if y.ndim == 2:
        X = _dense(X)
        gram, cross = X.T @ X / len(X), X.T @ y / len(X)
        return partial(_search_rows, gram, cross, count)
    gram = GramRows.of(LeastSquares(X, y))

    def best(ridge):
        search = SubsetSearch(SubsetState(gram, ridge), min(count, X.shape[1]), kicks=kicks)
        for _ in search.run():
            pass
        return np.sort(search.best.support)

    return best


def _search_rows(gram, cross, count, ridge):
    selection = RowSelection(gram + max(ridge, _LEAST_RIDGE) * np.eye(len(gram)), cross)
    return np.flatnonzero(selection.best(min(count, len(gram)), 0, 0).kept)


def _proven(X, y, count, ridge, support, proof_time):
    constraint = Cardinality(count) if y.ndim == 1 else RowCardinality(count)
    problem = Problem(LeastSquares(X, y), Ridged(Zero(), ridge) if ridge else Zero(), constraint)
    columns = _dense(X[:, support])
    gram = columns.T @ columns / len(y) + max(ridge, _LEAST_RIDGE) * np.eye(len(support))
    w = np.zeros((X.shape[1], *y.shape[1:]))
    w[support] = np.linalg.solve(gram, columns.T @ y / len(y))
    if BranchAndBound().rejects(problem) is not None:
        return support, certify(problem, w)
    try:
        found = solve(problem, BranchAndBound(), w, time_limit=proof_time)
    except UnsupportedProblem:
        # Columns that depend on each other, and no ridge: nothing is proven of them.
        return support, certify(problem, w)
    return np.flatnonzero(found.w.reshape(len(found.w), -1).any(axis=1)), found.certificate


def _explained_without(X, y, kept):
    """Of a kept feature the squares that it alone explains beside the others; of another one those that it would add."""
    columns = _dense(X[:, np.flatnonzero(kept)])
    gram = columns.T @ columns + len(y) * _LEAST_RIDGE * np.eye(columns.shape[1])
    inverse = np.linalg.inv(gram)
    w = inverse @ (columns.T @ y)
    residual = y - columns @ w
    scores = np.zeros(X.shape[1])
    # of no features at all there are none to sum
    scores[kept] = np.sum(np.atleast_2d(w.T) ** 2, axis=0) / inverse.diagonal()
    others = np.flatnonzero(~kept)
    if others.size == 0:
        return scores
    rest = X[:, others]
    cross = rest.T @ columns
    size = _squares(rest) - np.einsum("ij,ij->i", cross @ inverse, cross)
    slopes = np.sum(np.asarray(rest.T @ residual).reshape(others.size, -1) ** 2, axis=1)
    scores[others] = np.divide(slopes, size, out=np.zeros(others.size), where=size > 1e-9 * len(y))
    return scores


def _squares(X):
    if sparse.issparse(X):
        return np.asarray(X.multiply(X).sum(axis=0)).ravel()
    return np.einsum("ij,ij->j", X, X)
