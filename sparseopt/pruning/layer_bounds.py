"""What no weights could beat: lower bounds of a layer's squared error, for as many weights in each output as it has.

For output r with k weights the problem is the best subset,

    minimise over w, b   |A w + b - t|^2 / n     with at most k nonzeros in w,

on the Gram matrix that all outputs share. Branch and bound solves it exactly where there are few inputs, and has a
bound whenever it is stopped. Before that two bounds come for nothing: the least squares error on all inputs, and,
with C the inverse of the Gram and w the dense weights, at least the p - k smallest of w_j^2 / C_jj / p above it.
For hundreds of inputs a convex relaxation says far more, also of weights that outputs may share as they like.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy

from sparseopt.constraints import Cardinality
from sparseopt.losses import Quadratic
from sparseopt.problem import Problem
from sparseopt.pruning.clock import Clock
from sparseopt.pruning.layer_relaxation import relaxed_bounds
from sparseopt.pruning.reconstruction import Reconstruction
from sparseopt.solution import UnsupportedProblem
from sparseopt.solve import solve as optimise
from sparseopt.solvers.branch_and_bound import BranchAndBound

# A bound is lowered by this part of the targets' energy, which is more than rounding takes.
ROUNDING = 1e-10
# Supports of up to two weights are all tried, which takes dependent inputs as well.
PAIR = 2
# Part of an input's square that has to be its own for it not to be a multiple of another.
PARALLEL = 1e-12
# Inputs from which on branching says little, and each output is worth a diagonal of its own.
WIDE = 64
# Parts of the time by which the relaxations of the outputs and of the layer end.
OUTPUTS, LAYER = 0.25, 0.5


@dataclass(frozen=True, eq=False, repr=False)
class LayerBound:
    """Mean squared errors of a layer's outputs, and lower bounds for as many weights.

    Attributes
    ----------
    outputs : array of shape (outputs,)
        Mean squared error of each output, over the samples.
    lower_outputs : array of shape (outputs,)
        No weights with as many nonzeros in that output have a lower one.
    lower_layer : float
        No weights with as many nonzeros in the layer have a lower sum of them, however they are spread over the outputs.
    energy : float
        Mean square of the targets, about their means where there is a bias, summed over the outputs.
    seconds : float
    """

    outputs: np.ndarray
    lower_outputs: np.ndarray
    lower_layer: float
    energy: float
    seconds: float

    @property
    def value(self) -> float:
        """Mean squared error of the layer, summed over its outputs."""
        return float(self.outputs.sum())

    @property
    def lower(self) -> float:
        """Lower bound of `value`, for the same number of weights in each output."""
        return float(self.lower_outputs.sum())

    @property
    def gap(self) -> float:
        """Part of the error that is not proven to be necessary; 0 for an error of 0."""
        return float(_gap(self.value, self.lower))

    @property
    def gaps(self) -> np.ndarray:
        """The same for each output, of shape (outputs,)."""
        return _gap(self.outputs, self.lower_outputs)

    def __repr__(self) -> str:
        return f"LayerBound(error {self.value / (self.energy or 1.0):.3g} of the energy, gap {self.gap:.2%})"


def check_bound_seconds(seconds) -> None:
    """Refuse what is no time for bounds."""
    if not seconds >= 0:
        raise ValueError(f"bound_seconds is {seconds}; give seconds for each layer, 0 for no bounds.")


def bound_within(seconds, layer, kept, inputs, targets) -> LayerBound | None:
    """`certify_layer`, or None where it has no time."""
    return certify_layer(layer, kept, inputs, targets, seconds=seconds) if seconds else None


def certify_layer(layer, kept, inputs, targets, *, seconds=10.0) -> LayerBound:
    """Bound from below what any weights could reach with as many in each output.

    Parameters
    ----------
    layer : Layer
        The pruned layer.
    kept : array of shape (inputs, outputs)
        Its support.
    inputs, targets : arrays of shape (samples, inputs) and (samples, outputs)
        What it meets, and what it should give.
    seconds : float
        For all outputs together. Bounds are valid whatever it is.
    """
    clock = Clock(seconds)
    moments = Reconstruction.of(inputs, targets, layer, 0.0)
    errors = _errors(layer, inputs, targets)
    alive = np.flatnonzero(moments.alive)
    gram = np.ascontiguousarray(moments.gram[np.ix_(alive, alive)])
    cross, counts = moments.cross[alive], kept[alive].sum(axis=0)
    margin = ROUNDING * moments.energy
    least, lower = _free_bounds(gram, cross, counts, moments.energy)
    rows, total = np.ascontiguousarray(cross.T), counts.sum(keepdims=True)
    is_wide, soon = alive.size >= WIDE, clock.until(OUTPUTS * seconds)
    lower = np.maximum(lower, relaxed_bounds(gram, rows, moments.energy, counts, soon, own=is_wide))
    relaxed = relaxed_bounds(gram, rows, moments.energy, total, clock.until(LAYER * seconds), blocks=True)
    lower_layer = max(float(relaxed[0]), float(least.sum())) - float(margin.sum())
    weights = np.where(kept[alive], layer.weight[alive], 0).astype(np.float64)
    # The largest possible gain first.
    order = np.argsort(-(errors - lower), kind="stable")
    for position, output in enumerate(order):
        left = seconds - clock.seconds
        if left <= 0:
            break
        if counts[output] == 0 or counts[output] == alive.size or errors[output] - lower[output] <= margin[output]:
            continue
        # What an output leaves over, the others share.
        limit = left / (order.size - position)
        count = int(counts[output])
        if count <= PAIR:
            bound = -_best_pair(gram, cross[:, output], count) / 2
        else:
            bound = _branch(gram, cross[:, output], count, weights[:, output], limit)
        lower[output] = max(lower[output], 2 * bound + moments.energy[output])
    lower = np.clip(lower - margin, 0, None)
    return LayerBound(errors, lower, max(lower_layer, 0.0), float(moments.energy.sum()), clock.seconds)


def _errors(layer, inputs, targets):
    total = np.zeros(targets.shape[1])
    for start in range(0, len(inputs), 8192):
        rows = slice(start, start + 8192)
        total += np.sum((layer(inputs[rows]).astype(np.float64) - targets[rows]) ** 2, axis=0)
    return total / len(inputs)


def _free_bounds(gram, cross, counts, energy):
    """Errors with all weights, and with what the removal of the least costs at any rate; each of shape (outputs,)."""
    try:
        factor = scipy.linalg.cho_factor(gram, lower=True)
    except scipy.linalg.LinAlgError:
        # Dependent inputs: nothing is known but that errors are not negative.
        return np.zeros_like(energy), np.where(counts == 0, energy, 0.0)
    dense = scipy.linalg.cho_solve(factor, cross)
    inverse = scipy.linalg.cho_solve(factor, np.eye(len(gram)))
    least = np.maximum(energy - np.einsum("ij,ij->j", dense, cross), 0)
    # Removing T costs w_T' (C_TT)^-1 w_T, and C_TT is at most p times its diagonal (Cauchy and Schwarz).
    costs = np.sort(dense**2 / inverse.diagonal()[:, None], axis=0)
    sums = np.concatenate([np.zeros((1, costs.shape[1])), np.cumsum(costs, axis=0)])
    gone = len(gram) - counts
    extra = sums[gone, np.arange(counts.size)] / np.maximum(gone, 1)
    return least, np.where(counts == 0, energy, least + extra)


def _best_pair(gram, cross, count):
    """Most that one weight, or two, can take off the error: all are tried."""
    diagonal = gram.diagonal()
    alone = cross**2 / diagonal
    best = float(alone.max())
    if count == 1:
        return best
    # Of two inputs, the second adds what it says beyond the first.
    left = diagonal - gram**2 / diagonal[:, None]
    slopes = cross - gram * (cross / diagonal)[:, None]
    is_new = left > PARALLEL * diagonal
    gains = np.where(is_new, slopes**2 / np.where(is_new, left, 1), 0)
    return max(best, float((alone[:, None] + gains).max()))


def _branch(gram, cross, count, start, limit):
    """Lower bound of w'Hw / 2 - b'w over at most `count` nonzeros."""
    problem = Problem(Quadratic(gram, -cross), constraint=Cardinality(count))
    try:
        solution = optimise(problem, BranchAndBound(), start, tol=1e-6, time_limit=limit)
    except UnsupportedProblem:
        # An input that depends on others.
        return -np.inf
    return solution.certificate.lower_bound


def _gap(value, lower):
    return np.where(np.asarray(value) > 0, (value - lower) / np.where(np.asarray(value) > 0, value, 1), 0.0)
