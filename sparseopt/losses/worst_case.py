"""The worst of several losses: what is small in every group of samples."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import NamedTuple

import numpy as np
from scipy import sparse

from sparseopt.designs import Design
from sparseopt.inputs import as_design, as_floats, as_targets, as_weights
from sparseopt.losses.base import LossTerm, rebuilt
from sparseopt.losses.least_squares import LeastSquares
from sparseopt.losses.samples import NO_OFFSET, FreeConstant, NoConstant, Offset, PerSample, SampleLoss, remembered

# What every loss has of its own; all else must be the same in all of them.
_OWN = {"X", "y", "sample_weight", "intercept", "offset", "target", "constant", "names"}
# Steps to the best common intercept: a few where the losses are not parabolas.
_STEPS = 60


class Stack(NamedTuple):
    """The samples of all losses, one loss after another, in float64."""

    A: np.ndarray | sparse.csc_array
    y: np.ndarray
    offset: np.ndarray
    #: Weight of each sample within its loss, where they sum to one.
    weights: np.ndarray
    #: First sample of each loss, and the number of all.
    starts: np.ndarray


@dataclass(frozen=True, eq=False)
class WorstCase(LossTerm):
    """The largest of several losses, less their baselines: max over g of L_g(w) - baseline_g.

    What minimises it predicts well in every group of samples, whatever share of the samples a group has: group
    distributionally robust regression (Sagawa et al., 2020). By baselines that are the least losses of the groups
    themselves, it is the largest regret. With weights in the simplex, the mean of the losses is never above the
    worst one, so that every choice of weights proves a bound; the best ones are found with the solution, as
    ``solution.duals.losses``.

    It is convex but not smooth: it is for `Minimax` and the other solvers that ask for it.

    Parameters
    ----------
    losses : sequence of LeastSquares, or of one other loss on samples
        All of one class with the same parameters, on the same features, each without an intercept.
    intercept : bool, default False
        Add one unpenalised constant, the same for all losses.
    baselines : array of one number a loss, optional
        Subtracted from the losses; zeros by default.
    names : sequence of str, optional
        Of the losses; their numbers by default.

    Raises
    ------
    ValueError, TypeError
        Where there is no loss, or the losses do not fit together.
    """

    losses: tuple = field(metadata={"compiled": False})
    intercept: bool = field(default=False, metadata={"compiled": False})
    baselines: np.ndarray | None = field(default=None, metadata={"compiled": False})
    names: tuple | None = field(default=None, metadata={"compiled": False})

    def __post_init__(self):
        losses = tuple(self.losses)
        _check_losses(losses)
        if not isinstance(self.intercept, bool | np.bool_):
            raise TypeError(f"intercept must be True or False, got {self.intercept!r}.")
        baselines = np.zeros(len(losses))
        if self.baselines is not None:
            baselines = np.array(as_floats(self.baselines, "baselines"), dtype=np.float64)
        if baselines.shape != (len(losses),) or not np.all(np.isfinite(baselines)):
            raise ValueError(
                f"baselines must be {len(losses)} finite numbers, one a loss, got shape {baselines.shape}."
            )
        names = tuple(map(str, range(len(losses)) if self.names is None else self.names))
        if len(names) != len(losses):
            raise ValueError(f"names has {len(names)} entries for {len(losses)} losses; their numbers must match.")
        baselines.flags.writeable = False
        made = {"losses": losses, "intercept": bool(self.intercept), "baselines": baselines, "names": names}
        for name, value in made.items():
            object.__setattr__(self, name, value)

    @staticmethod
    def over_groups(
        kind: Callable, X, y, groups, *, sample_weight=None, intercept=False, offset=None, baselines=None
    ) -> WorstCase:
        """The worst loss over groups of samples.

        Parameters
        ----------
        kind : callable
            ``kind(X, y, sample_weight, offset=...)`` makes the loss of one group: `LeastSquares`, `Logistic`, or one
            with parameters, ``functools.partial(Huber, delta=1.0)``.
        X, y
            As `LeastSquares` takes them.
        groups : array of shape (n,), or mapping of names to rows
            A label a sample; or for each group its rows, as numbers or as a mask: such groups may overlap.
        sample_weight : array of shape (n,), optional
            Within a group only their ratios matter.
        intercept : bool, default False
            One unpenalised constant for all groups.
        offset : array of shape (n,), optional
        baselines : array of one number a group, or mapping of names, optional
            In the order of the sorted labels, or of the mapping.

        Returns
        -------
        WorstCase
        """
        design = as_design(X)
        n = design.shape[0]
        members = _members(groups, n)
        if isinstance(baselines, Mapping):
            if set(baselines) != set(members):
                raise ValueError(f"baselines must name the groups {', '.join(map(str, members))}, no more and no less.")
            baselines = [baselines[name] for name in members]
        y, columns = np.asarray(as_floats(y, "y")), getattr(X, "columns", None)
        if y.shape != (n,):
            raise ValueError(f"y must have one entry for each of {n} samples, got shape {y.shape}.")
        weights = None if sample_weight is None else as_weights(sample_weight, n)
        known = None if offset is None else as_targets(offset, n, np.float64, "offset")
        matrix = design.matrix.tocsr() if sparse.issparse(design.matrix) else design.matrix
        losses = []
        for name, rows in members.items():
            own = None if weights is None else weights[rows]
            if own is not None and not own.any():
                raise ValueError(f"group {name!r} has no weight; leave it out or raise its sample_weight.")
            part = kind(matrix[rows], y[rows], own, offset=None if known is None else known[rows])
            losses.append(part if columns is None else rebuilt(part, names=tuple(map(str, columns))))
        return WorstCase(tuple(losses), intercept, baselines, tuple(map(str, members)))

    @property
    def n_features(self):
        return self.losses[0].n_features

    @property
    def n_groups(self):
        """Number of losses."""
        return len(self.losses)

    @property
    def feature_names(self):
        return self.losses[0].feature_names

    @property
    def dtype(self):
        return np.result_type(*(loss.dtype for loss in self.losses)).newbyteorder("=")

    @cached_property
    def stack(self) -> Stack:
        """The samples of all losses together."""
        matrices = [loss.X.matrix for loss in self.losses]
        if all(sparse.issparse(matrix) for matrix in matrices):
            A = sparse.csc_array(sparse.vstack(matrices), dtype=np.float64)
        else:
            A = np.vstack([matrix.toarray() if sparse.issparse(matrix) else matrix for matrix in matrices])
            A = np.asfortranarray(A, dtype=np.float64)
        sizes = [loss.y.size for loss in self.losses]
        return Stack(
            A,
            np.concatenate([loss.y for loss in self.losses]).astype(np.float64),
            np.concatenate(
                [loss.offset.added_to(np.zeros(size)) for loss, size in zip(self.losses, sizes, strict=True)]
            ),
            np.concatenate(
                [np.broadcast_to(np.float64(loss.sample_weight.values), loss.y.size) for loss in self.losses]
            ),
            np.concatenate([[0], np.cumsum(sizes)]),
        )

    def derivatives(self, eta):
        """phi, its first and second derivative for each sample of the stack, at fitted values without the offset."""
        y, z, kind = self.stack.y, eta + self.stack.offset, self.losses[0]
        if isinstance(kind, LeastSquares):
            return (z - y) ** 2 / 2, z - y, np.ones_like(z)
        return kind.value(y, z), kind.slope(y, z), kind.curvature(y, z) * np.ones_like(z)

    def per_loss(self, values):
        """Weighted mean over the samples of each loss."""
        return np.add.reduceat(self.stack.weights * values, self.stack.starts[:-1])

    def values(self, w):
        """L_g(w) - baseline_g of each loss g, at the intercept that belongs to w.

        Parameters
        ----------
        w : array of shape (p,)

        Returns
        -------
        array of shape (n_groups,)
        """
        return np.array(self._settled(np.asarray(w, dtype=np.float64))[1])

    def evaluate(self, w):
        return float(np.max(self._settled(np.asarray(w, dtype=np.float64))[1]))

    def intercept_at(self, w):
        return self._settled(np.asarray(w, dtype=np.float64))[0]

    def gradient(self, w):
        """A subgradient at w: the slope of the mean of the losses with `weights_at(w)`."""
        w = np.asarray(w, dtype=np.float64)
        return self.slopes(w, self._settled(w)[0]) @ self._settled(w)[2]

    def slopes(self, w, b):
        """Gradient in w of each loss at (w, b), one a column."""
        stack = self.stack
        mass = stack.weights * self.derivatives(stack.A @ w + b)[1]
        columns = [stack.A[first:last].T @ mass[first:last] for first, last in _pairs(stack.starts)]
        return np.column_stack(columns)

    def mixture(self, weights):
        """The mean of the losses with some weights, as one loss; baselines are left out.

        Parameters
        ----------
        weights : array of shape (n_groups,)
            Nonnegative; they are scaled to sum to one.

        Returns
        -------
        LeastSquares or SampleLoss
            With the intercept that the losses have in common. No w has a smaller worst loss than this one has, less
            the mean of the baselines.
        """
        weights = as_weights(weights, len(self.losses))
        stack, kind = self.stack, self.losses[0]
        own = stack.weights * np.repeat(weights, np.diff(stack.starts))
        if isinstance(kind, LeastSquares):
            return LeastSquares(self._design, stack.y, own, self.intercept, offset=stack.offset)
        return rebuilt(self._pattern, sample_weight=PerSample(own))

    @cached_property
    def _design(self):
        return as_design(self.stack.A)

    @cached_property
    def _pattern(self):
        """A loss on all samples; past the door, for a mean may have weight on samples of one class only."""
        kind, stack = self.losses[0], self.stack
        return rebuilt(
            kind,
            X=self._design,
            y=stack.y,
            sample_weight=PerSample(stack.weights / len(self.losses)),
            intercept=self.intercept,
            offset=Offset(stack.offset) if stack.offset.any() else NO_OFFSET,
            constant=FreeConstant() if self.intercept else NoConstant(),
        )

    def restrict(self, columns):
        return dataclasses.replace(self, losses=tuple(loss.restrict(columns) for loss in self.losses))

    def _settled(self, w):
        """The intercept of w, the losses there, and weights for which no other intercept is better."""
        return remembered(self, "_best", w, self._settle)

    def _settle(self, w):
        eta = self.stack.A @ w
        if not self.intercept:
            values = self.per_loss(self.derivatives(eta)[0]) - self.baselines
            return 0.0, values, np.eye(len(values))[np.argmax(values)]
        b, best = 0.0, None
        for _ in range(_STEPS):
            value, slope, bend = (self.per_loss(part) for part in self.derivatives(eta + b))
            value = value - self.baselines
            if best is not None and not np.max(value) < best[0]:
                # beyond the parabolas' reach: halfway back
                step /= 2.0  # noqa: F821 (there is a step wherever there is a best)
                if abs(step) <= 1e-15 * (1.0 + abs(best[1])):
                    break
                b = best[1] + step
                continue
            best = np.max(value), b, value, slope, bend
            step = lowest_of_parabolas(value, slope, bend)
            if abs(step) <= 1e-15 * (1.0 + abs(b)):
                break
            b += step
        _, b, value, slope, _ = best
        return float(b), value, _balancing(value, slope)


def lowest_of_parabolas(value, slope, bend):
    """The x that minimises max over g of value_g + slope_g x + bend_g x**2 / 2, for positive bends."""
    bend = np.maximum(bend, 1e-12 * max(float(np.max(bend)), 1e-300))
    g, h = np.triu_indices(value.size, 1)
    a, m, c = (bend[g] - bend[h]) / 2, slope[g] - slope[h], value[g] - value[h]
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        # a x**2 + m x + c = 0 without cancellation
        q = -(m + np.copysign(np.sqrt(m * m - 4.0 * a * c), m)) / 2.0
        trials = np.concatenate([-slope / bend, q / a, c / q, [0.0]])
    trials = trials[np.isfinite(trials)]
    heights = np.max(value + trials[:, None] * (slope + trials[:, None] * bend / 2), axis=1)
    return float(trials[np.argmin(heights)])


def _balancing(value, slope):
    """Weights on the worst losses that bring the mean of the slopes to zero, or next to it."""
    scale = np.max(np.abs(value)) + np.max(value) - np.min(value)
    if not np.isfinite(scale):  # far out, as a step may lead: one of the worst by itself
        return np.eye(value.size)[np.argmax(value)]
    worst = np.flatnonzero(value >= np.max(value) - 1e-9 * scale)
    low, high = worst[np.argmin(slope[worst])], worst[np.argmax(slope[worst])]
    weights = np.zeros(value.size)
    if slope[low] < 0.0 < slope[high]:
        weights[low], weights[high] = slope[high], -slope[low]
        return weights / weights.sum()
    weights[worst[np.argmin(np.abs(slope[worst]))]] = 1.0
    return weights


def _pairs(starts):
    return zip(starts[:-1].tolist(), starts[1:].tolist(), strict=True)


def _check_losses(losses):
    if not losses:
        raise ValueError("WorstCase has no losses; give at least one.")
    first = losses[0]
    for loss in losses:
        if not isinstance(loss, LeastSquares | SampleLoss):
            raise TypeError(f"WorstCase takes LeastSquares and losses on samples, got {type(loss).__name__}.")
        if type(loss) is not type(first):
            kinds = f"{type(first).__name__} and {type(loss).__name__}"
            raise TypeError(f"WorstCase takes losses of one class, got {kinds}; their units would differ.")
        if loss.n_features != first.n_features:
            raise ValueError(
                f"the losses have {first.n_features} and {loss.n_features} features; they must be the same."
            )
        if loss.intercept:
            raise ValueError(
                "a loss has an intercept of its own; leave it out there and give intercept=True to WorstCase."
            )
        for name in (part.name for part in dataclasses.fields(loss) if part.name not in _OWN):
            if getattr(loss, name) != getattr(first, name):
                raise ValueError(
                    f"the losses differ in {name} ({getattr(first, name)!r} and {getattr(loss, name)!r}); give all the same."
                )


def _members(groups, n):
    """Rows of each group, by name."""
    if isinstance(groups, Mapping):
        members = {name: _rows(name, rows, n) for name, rows in groups.items()}
    else:
        labels = np.asarray(groups.matrix if isinstance(groups, Design) else groups)
        if labels.shape != (n,):
            raise ValueError(f"groups must have one label for each of {n} samples, got shape {labels.shape}.")
        if labels.dtype.kind == "f" and not np.all(np.isfinite(labels)):
            raise ValueError("groups contains NaN or infinity; name a group for such samples, or drop them.")
        try:
            kinds, place = np.unique(labels, return_inverse=True)
        except TypeError as fault:
            raise ValueError(
                f"groups holds labels that have no order ({fault}); give all of one kind, none missing."
            ) from None
        members = {name: np.flatnonzero(place == g) for g, name in enumerate(kinds.tolist())}
    if not members:
        raise ValueError("groups names no group; give at least one.")
    return members


def _rows(name, rows, n):
    rows = np.asarray(rows)
    if rows.dtype == bool:
        if rows.shape != (n,):
            raise ValueError(f"the mask of group {name!r} has shape {rows.shape} for {n} samples; they must match.")
        rows = np.flatnonzero(rows)
    if rows.size == 0:
        raise ValueError(f"group {name!r} is empty; leave it out.")
    if rows.ndim != 1 or rows.dtype.kind not in "iu" or rows.min() < 0 or rows.max() >= n:
        raise ValueError(f"group {name!r} must hold row numbers from 0 to {n - 1}.")
    return rows
