"""One layer as a least squares problem: which weights give the wanted outputs from the inputs at hand."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
from scipy.linalg import lapack

from sparseopt.pruning.clock import Clock
from sparseopt.pruning.supports import refit

# Rows that are taken in double precision together.
ROWS = 8192
# Outputs with larger supports are refitted one by one in LAPACK, which is then the faster.
SMALL = 64
_DEPENDENT = "the layer's inputs are too nearly dependent for this damping; raise it."


@dataclass(frozen=True, eq=False)
class Reconstruction:
    """Moments of the samples of one layer, whose outputs are to be the targets T.

        minimise over W, b   |A W + b - T|^2 / (2 n) + damping/2 |W - W0|^2

    with W0 the layer's weight now. A bias is profiled out by centring; a layer that has none gets none.
    The damping makes dead inputs and fewer samples than inputs harmless: what the data do not say,
    the weight as it is says. Where inputs have units of their own there is a damping for each, in its unit, so that
    the solution does not depend on units. For one output, in terms of `gram` H and a column b of `cross`, this is

        minimise over w   w'H w / 2 - b'w + energy / 2.

    The clock of a run says when its time is up: methods that go from output to output look at it.
    """

    gram: np.ndarray
    cross: np.ndarray
    damping: float | np.ndarray
    input_mean: np.ndarray
    target_mean: np.ndarray
    energy: np.ndarray
    clock: Clock = field(default_factory=Clock)

    @classmethod
    def of(cls, inputs, targets, layer, damping, grams=None) -> Reconstruction:
        """Moments of inputs and targets; the damping is relative to the mean of the Gram's diagonal, or to each of it.

        With a dictionary `grams`, empty at first, the products of the inputs are made once for several calls on the
        same inputs.
        """
        pieces = range(0, len(inputs), ROWS)
        batches = ((inputs[i : i + ROWS], targets[i : i + ROWS]) for i in pieces)
        return cls.streamed(batches, layer, damping, grams)

    @classmethod
    def streamed(cls, batches, layer, damping, grams=None) -> Reconstruction:
        """Moments of batches, pairs of inputs and targets that need not fit into memory together.

        Memory is that of the Gram. Where the damping is lost in rounding it is raised, tenfold until the Gram has
        a Cholesky factor; none is none.
        """
        p, outputs = layer.weight.shape
        # About the mean or about zero.
        known = None if grams is None else grams.get(layer.bias is not None)
        gram, cross, energy = np.zeros((p, p)), np.zeros((p, outputs)), np.zeros(outputs)
        shifts, sums, rows = [np.zeros(p), np.zeros(outputs)], [np.zeros(p), np.zeros(outputs)], 0
        for inputs, targets in batches:
            _check_batch(inputs, targets, layer)
            if not rows and layer.bias is not None:
                # Moments about a point near the mean lose no digits when the mean is taken out.
                shifts = [Z.mean(axis=0, dtype=np.float64) for Z in (inputs, targets)]
            A, T = inputs - shifts[0], targets - shifts[1]
            if known is None:
                gram += A.T @ A
            cross += A.T @ T
            energy += np.einsum("ij,ij->j", T, T)
            sums = [total + Z.sum(axis=0) for total, Z in zip(sums, (A, T), strict=True)]
            rows += len(A)
        if not rows:
            raise ValueError(f"layer {layer.name} was given no samples; give at least one.")
        if known is not None:
            gram = known
        elif grams is not None:
            grams[layer.bias is not None] = gram
        means = [total / rows if layer.bias is not None else np.zeros(total.size) for total in sums]
        gram = gram / rows - np.outer(means[0], means[0])
        cross = cross / rows - np.outer(means[0], means[1])
        energy = energy / rows - means[1] ** 2
        if not np.isfinite(gram).all() or not np.isfinite(cross).all():
            raise ValueError(f"the samples of layer {layer.name} hold NaN or infinity; fill or drop these first.")
        if layer.own_units:
            # What is left of a constant is rounding.
            constant = gram.diagonal() <= np.square(1e-12 * (shifts[0] + means[0]))
            gram[constant], gram[:, constant], cross[constant] = 0.0, 0.0, 0.0
        added = _damp(gram, damping, own_units=layer.own_units)
        weighted = np.broadcast_to(added, len(gram))[:, None] * layer.weight
        return cls(
            gram,
            cross + weighted,
            added,
            shifts[0] + means[0],
            shifts[1] + means[1],
            energy + np.sum(weighted * layer.weight, axis=0, dtype=np.float64),
        )

    @property
    def alive(self) -> np.ndarray:
        """Which inputs vary at all, as booleans."""
        variance = self.gram.diagonal() - self.damping
        least = 0.0 if np.ndim(self.damping) else 1e-12 * variance.max(initial=0.0)
        return variance > least

    def refit(self, kept, threads=1) -> np.ndarray:
        """Best weights on a support, of shape (inputs, outputs) like the support."""
        sizes = kept.sum(axis=0)
        weight = np.zeros(kept.shape)
        small = np.flatnonzero((sizes > 0) & (sizes <= SMALL))
        if small.size:
            cross, support = (np.ascontiguousarray(M[:, small].T) for M in (self.cross, kept))
            weight[:, small] = refit(self.gram, cross, support, threads).T
        for output in np.flatnonzero(sizes > SMALL):
            support = np.flatnonzero(kept[:, output])
            weight[support, output] = solve(self.gram[np.ix_(support, support)], self.cross[support, output])
        return weight

    def losses(self, weight) -> np.ndarray:
        """Objective of each output at a weight."""
        quadratic = np.einsum("ij,ij->j", weight, self.gram @ weight)
        return (quadratic + self.energy) / 2 - np.einsum("ij,ij->j", weight, self.cross)

    def fitted(self, layer, weight):
        """Return the layer with this weight, in the layer's precision, and the bias that goes best with it."""
        weight = weight.astype(layer.weight.dtype)
        if layer.bias is None:
            return replace(layer, weight=weight)
        bias = self.target_mean - self.input_mean @ weight
        return replace(layer, weight=weight, bias=bias.astype(layer.bias.dtype))


def solve(gram, cross) -> np.ndarray:
    """Solution of a damped, hence positive definite system."""
    if not len(gram):  # LAPACK takes no empty matrix
        return np.zeros(np.shape(cross))
    # A symmetric matrix is its own transpose, and BLAS counts by columns.
    _, solution, failed = lapack.dposv(gram.T, cross, lower=True)
    if failed or not np.isfinite(solution).all():
        raise ValueError(_DEPENDENT)
    return solution


def inverted(gram) -> np.ndarray:
    """Inverse of a damped, hence positive definite matrix."""
    if not len(gram):
        return np.zeros((0, 0))
    factor, failed = lapack.dpotrf(gram.T, lower=True)
    found, singular = lapack.dpotri(factor, lower=True, overwrite_c=True)
    if failed or singular or not np.isfinite(found).all():
        raise ValueError(_DEPENDENT)
    whole = found + found.T  # above the diagonal there are zeros
    whole[np.diag_indices(len(whole))] = found.diagonal()
    return whole


def _damp(gram, damping, *, own_units=False) -> float | np.ndarray:
    """Add to the diagonal in place, relative to its mean or to each of it, and return what was added."""
    diagonal = gram.diagonal().copy()
    mean = gram.trace() / len(gram) or 1.0
    added = damping * (np.where(diagonal > 0, diagonal, mean) if own_units else mean)
    _set_diagonal(gram, diagonal + added)
    # Rounding is some 1e-16 of the trace: more damping than this is never lost.
    if damping == 0 or damping > 1e-8:
        return added
    while _smallest_pivot(gram, gram.diagonal() if own_units else gram.trace() / len(gram)) < 1e-10:
        added = 10 * added
        _set_diagonal(gram, diagonal + added)
    return added


def _set_diagonal(gram, values):
    gram[np.diag_indices(len(gram))] = values


def _smallest_pivot(gram, scale) -> float:
    """Smallest square of the Cholesky factor's diagonal, over the scale; 0 where there is no factor."""
    factor, failed = lapack.dpotrf(gram.T, lower=True)
    return 0.0 if failed else float(np.min(factor.diagonal() ** 2 / scale))


def _check_batch(inputs, targets, layer):
    p, outputs = layer.weight.shape
    if inputs.ndim != 2 or inputs.shape[1] != p or targets.shape != (len(inputs), outputs):
        raise ValueError(
            f"layer {layer.name} got inputs of shape {inputs.shape} and targets of shape {targets.shape}; "
            f"it has {p} inputs and {outputs} outputs: give one row of each per sample."
        )
