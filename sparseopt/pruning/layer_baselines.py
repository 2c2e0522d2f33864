"""Other ways to choose the weights of a layer: those of the papers, to compare with and where they are enough."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy

from sparseopt.pruning.alternating import dense_weights, scale_of
from sparseopt.pruning.layer_methods import LayerMethod, largest
from sparseopt.pruning.reconstruction import inverted, solve


@dataclass(frozen=True, kw_only=True)
class SparseGPT(LayerMethod):
    """Inputs from first to last: the least of a block go, and those after them make up for it.

    One factor of the inverse Gram serves all outputs. Outputs compete within a block of inputs.

    Parameters
    ----------
    block : int, default=128
        Inputs whose weights are chosen together.
    refit : bool, default=False
        Fit the kept weights to the layer's old outputs by least squares, which the method itself does not.

    References
    ----------
    Frantar and Alistarh, "SparseGPT: Massive Language Models Can Be Accurately Pruned in One-Shot" (2023).
    """

    block: int = 128
    refit: bool = False

    def __post_init__(self):
        super().__post_init__()
        if self.block < 1:
            raise ValueError(f"block is {self.block}; give the inputs of a block, 128 by default.")

    def _solve(self, gram, cross, kept, count):
        dense = solve(gram, cross.T).T
        weight = dense.copy()
        inverse = inverted(gram)
        upper = scipy.linalg.cholesky(inverse, lower=False)
        support = np.ones(weight.shape, bool)
        for start in range(0, len(gram), self.block):
            end = min(start + self.block, len(gram))
            factor = upper[start:end, start:end]
            # Each block keeps its part of what the layer keeps, so that rounding does not pile up.
            share = round(count * end / len(gram)) - round(count * start / len(gram))
            chosen = largest((weight[:, start:end] / factor.diagonal()) ** 2, share)
            errors = np.empty(chosen.shape)
            for i in range(end - start):
                errors[:, i] = np.where(chosen[:, i], 0, weight[:, start + i]) / factor[i, i]
                weight[:, start + i : end] -= np.outer(errors[:, i], factor[i, i:])
            weight[:, end:] -= errors @ upper[start:end, end:]
            weight[:, start:end][~chosen] = 0
            support[:, start:end] = chosen
        return (self._refit(gram, cross, dense, support, weight) if self.refit else weight), support


@dataclass(frozen=True, kw_only=True)
class ActivationMagnitude(LayerMethod):
    """Keep in each output the largest weights times the root mean square of their inputs, and refit ("Wanda").

    References
    ----------
    Sun et al., "A Simple and Effective Pruning Approach for Large Language Models" (2023).
    """

    def _solve(self, gram, cross, kept, count):
        dense = dense_weights(gram, cross)
        sizes = np.abs(dense) * scale_of(gram)
        # As many for each output; the first ones get the rest.
        each = np.full(len(sizes), count // len(sizes))
        each[: count - each.sum()] += 1
        order = np.argsort(-sizes, axis=1, kind="stable")
        support = np.zeros(sizes.shape, bool)
        np.put_along_axis(support, order, np.arange(sizes.shape[1]) < each[:, None], axis=1)
        return self._refit(gram, cross, dense, support, dense), support


@dataclass(frozen=True, kw_only=True)
class LayerwiseHardThresholding(LayerMethod):
    """Gradient steps on the layer, after each of which the largest weights stay; then a refit.

    It begins with the support of the scores, and the step is one over the largest eigenvalue of the Gram scaled to
    a unit diagonal, so that the loss never rises.

    Parameters
    ----------
    iterations : int, default=100

    References
    ----------
    Blumensath and Davies, "Iterative thresholding for sparse approximations" (2008).
    """

    iterations: int = 100

    def __post_init__(self):
        super().__post_init__()
        if self.iterations < 0:
            raise ValueError(f"iterations is {self.iterations}; give the number of steps.")

    def _solve(self, gram, cross, kept, count):
        scale = scale_of(gram)
        scaled, wanted = gram / scale / scale[:, None], cross / scale
        curvature = _largest_eigenvalue(scaled)
        dense = dense_weights(gram, cross)
        weight = np.where(kept, dense * scale, 0)
        support = kept if kept.sum() == count else largest(np.abs(weight), count)
        for _ in range(self.iterations):
            weight = weight + (wanted - weight @ scaled) / curvature
            before, support = support, largest(np.abs(weight), count)
            weight[~support] = 0
            if np.array_equal(before, support):
                break
        return self._refit(gram, cross, dense, support, weight / scale), support


@dataclass(frozen=True, kw_only=True)
class LayerwiseL1(LayerMethod):
    """The lasso of the layer, with the penalty at which the wanted number of weights is left; then a refit.

    Accelerated proximal gradient steps on all outputs at once, on inputs scaled to equal root mean squares; the
    penalty is found by bisection, each time from the weights before.

    Parameters
    ----------
    iterations : int, default=50
        Steps for each penalty.
    penalties : int, default=12
        Penalties that are tried.

    References
    ----------
    Beck and Teboulle, "A fast iterative shrinkage-thresholding algorithm for linear inverse problems" (2009).
    """

    iterations: int = 50
    penalties: int = 12

    def __post_init__(self):
        super().__post_init__()
        if self.iterations < 1 or self.penalties < 1:
            raise ValueError(f"{self!r} makes no step; give iterations and penalties of at least 1.")

    def _solve(self, gram, cross, kept, count):
        scale = scale_of(gram)
        scaled, wanted = gram / scale / scale[:, None], cross / scale
        curvature = _largest_eigenvalue(scaled)
        low, high = 0.0, float(np.abs(wanted).max())
        dense = dense_weights(gram, cross)
        best = weight = dense * scale
        for _ in range(self.penalties):
            alpha = (low * high) ** 0.5 if low else high / 10
            weight = _lasso(scaled, wanted, weight, alpha, curvature, self.iterations)
            if np.count_nonzero(weight) >= count:
                low, best = alpha, weight
            else:
                high = alpha
            if low == 0.0 and high < 1e-6 * np.abs(wanted).max():
                break
        support = largest(np.abs(best), count)
        return self._refit(gram, cross, dense, support, best / scale), support


def _largest_eigenvalue(gram):
    last = len(gram) - 1
    return float(scipy.linalg.eigvalsh(gram, subset_by_index=(last, last))[0])


def _lasso(gram, cross, weight, alpha, curvature, iterations):
    momentum, ahead = 1.0, weight
    for _ in range(iterations):
        moved = ahead + (cross - ahead @ gram) / curvature
        new = np.copysign(np.maximum(np.abs(moved) - alpha / curvature, 0), moved)
        following = (1 + (1 + 4 * momentum**2) ** 0.5) / 2
        ahead = new + (momentum - 1) / following * (new - weight)
        weight, momentum = new, following
    return weight
