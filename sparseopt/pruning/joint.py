"""All layers as one problem: the best subset of all weights of a network, by the network's own quadratic model.

Let J hold, for each sample, the slope of its loss in all weights. Around the weights w0 the mean loss is

    g'(w - w0) + (w - w0)'(J'J / n + ridge I)(w - w0) / 2,    at most k of w not zero,

with J'J/n the Fisher information, which for labels drawn from what the network says is its Gauss-Newton Hessian. It
has as many rows as the network has weights and is never made: the slope of a sample in the weight of a layer is the outer
product of the layer's inputs and slopes, so that products with J are two products of matrices a layer.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from sparseopt.inputs import is_whole
from sparseopt.pruning.methods import Method, check_damping


@dataclass(frozen=True, kw_only=True)
class JointL0(Method):
    """Best subset selection over all layers at once, by iterative hard thresholding on the Fisher information.

    Weights are ranked by what they cost in the quadratic model, each by itself, after a step along its slope in
    the scale of its own curvature; those that stay are fitted by conjugate gradients; and again, as long as
    the model's value falls. In several steps of a schedule the model is made anew at each of them.

    Parameters
    ----------
    damping : float, default=0.1
        Ridge, relative to the mean of the Fisher information's diagonal.
    iterations : int, default=10
        Most thresholding steps.
    empirical : bool, default=False
        Take the slopes of the given labels, in place of labels drawn from what the network says: needs y.
    first_order : float, default=0
        Weight of g, the mean slope on the given labels, which is otherwise taken as zero as after a training that
        has ended: above 0 needs y. What it gains is training, not pruning.

    References
    ----------
    Singh and Alistarh, "WoodFisher: efficient second-order approximation for neural network compression" (2020).
    Benbaki et al., "Fast as CHITA: neural network pruning with combinatorial optimization" (2023).
    """

    damping: float = 0.1
    iterations: int = 10
    empirical: bool = False
    first_order: float = 0.0

    def __post_init__(self):
        check_damping(self.damping)
        if not (is_whole(self.iterations) and self.iterations >= 0):
            raise ValueError(f"iterations is {self.iterations!r}; give a whole number from 0.")
        if not 0 <= self.first_order < np.inf:
            raise ValueError(f"first_order is {self.first_order}; give a weight from 0, 1 for the whole slope.")

    @property
    def needs_labels(self) -> bool:
        """Whether it looks at labels."""
        return self.empirical or self.first_order > 0

    def scores(self, network, samples):
        """Cost of each weight by itself: half its square times its curvature."""
        model = _Quadratic.of(network, samples, self)
        return [0.5 * c * w**2 for c, w in zip(model.curvature, model.start, strict=True)]

    def fit(self, layer, kept, inputs, targets):
        """Of one layer alone nothing is known here: its weights on the support as they are."""
        return replace(layer, weight=np.where(kept, layer.weight, 0).astype(layer.weight.dtype)), kept

    @property
    def refits(self) -> bool:
        """Not layer by layer."""
        return False

    def fit_network(self, before, network, kept, samples, choose, objective, clock):
        """Thresholding steps and fits, from the support that the scores chose."""
        model = _Quadratic.of(before, samples, self)
        weights = model.fitted(kept, model.masked(model.start, kept))
        value = model.value(weights)
        for _ in range(self.iterations):
            slopes = model.slopes(weights)
            moved = [w - s / c for w, s, c in zip(weights, slopes, model.curvature, strict=True)]
            support = choose([0.5 * c * w**2 for c, w in zip(model.curvature, moved, strict=True)])
            if clock.expired or all(map(np.array_equal, support, kept)):
                break
            trial = model.fitted(support, model.masked(moved, support))
            new_value = model.value(trial)
            if not new_value < value:
                break
            weights, kept, value = trial, support, new_value
        layers = [
            replace(layer, weight=weight.astype(layer.weight.dtype))
            for layer, weight in zip(network.layers(), weights, strict=True)
        ]
        return network.with_layers(layers), kept


@dataclass(frozen=True, eq=False)
class _Quadratic:
    """The model around the weights at the start; weights are lists of matrices, one a layer."""

    start: list[np.ndarray]
    inputs: list[np.ndarray]
    outer: list[np.ndarray]  # slopes of each sample's loss in the outputs of each layer
    linear: list[np.ndarray]
    curvature: list[np.ndarray]
    ridge: float
    samples: int

    @classmethod
    def of(cls, network, samples, knobs) -> _Quadratic:
        stats = samples.stats(network)
        n = len(samples.X)
        fisher = [s.empirical_fisher if knobs.empirical else s.fisher for s in stats]
        ridge = knobs.damping * sum(f.sum() for f in fisher) / sum(f.size for f in fisher) or 1.0
        return cls(
            [s.weight.astype(np.float64) for s in stats],
            [s.inputs for s in stats],
            [s.slopes if knobs.empirical else s.own_slopes for s in stats],
            [knobs.first_order * s.gradient if knobs.first_order else np.zeros(s.weight.shape) for s in stats],
            [f + ridge for f in fisher],
            ridge,
            n,
        )

    def masked(self, weights, kept):
        return [np.where(keep, w, 0.0) for w, keep in zip(weights, kept, strict=True)]

    def along(self, direction):
        """J times a direction: for each sample the slope of its loss along it."""
        total = np.zeros(self.samples)
        for inputs, outer, d in zip(self.inputs, self.outer, direction, strict=True):
            rows = np.einsum("ij,ij->i", inputs @ d.astype(inputs.dtype, copy=False), outer)
            total += rows.reshape(self.samples, -1).sum(axis=1)
        return total

    def curved(self, direction):
        """(J'J / n + ridge I) times a direction."""
        steps = self.along(direction) / self.samples
        found = []
        for inputs, outer, d in zip(self.inputs, self.outer, direction, strict=True):
            per_row = np.repeat(steps, len(inputs) // self.samples).astype(outer.dtype, copy=False)
            found.append(inputs.T @ (outer * per_row[:, None]) + self.ridge * d)
        return found

    def slopes(self, weights):
        moves = [w - w0 for w, w0 in zip(weights, self.start, strict=True)]
        return [g + c for g, c in zip(self.linear, self.curved(moves), strict=True)]

    def value(self, weights):
        moves = [w - w0 for w, w0 in zip(weights, self.start, strict=True)]
        along = self.along(moves)
        return (
            _dot(self.linear, moves) + 0.5 * float(along @ along) / self.samples + 0.5 * self.ridge * _dot(moves, moves)
        )

    def fitted(self, kept, weights, limit=50, tolerance=1e-3):
        """Minimum over weights on a support, by conjugate gradients in the scale of the diagonal."""
        residual = self.masked([-s for s in self.slopes(weights)], kept)
        scaled = [r / c for r, c in zip(residual, self.curvature, strict=True)]
        direction, height = scaled, _dot(residual, scaled)
        end = tolerance**2 * height
        for _ in range(limit):
            if height <= end:
                break
            curved = self.masked(self.curved(direction), kept)
            step = height / _dot(direction, curved)
            weights = [w + step * d for w, d in zip(weights, direction, strict=True)]
            residual = [r - step * c for r, c in zip(residual, curved, strict=True)]
            scaled = [r / c for r, c in zip(residual, self.curvature, strict=True)]
            height, before = _dot(residual, scaled), height
            direction = [s + (height / before) * d for s, d in zip(scaled, direction, strict=True)]
        return weights


def _dot(a, b) -> float:
    return sum(float(np.vdot(x, y)) for x, y in zip(a, b, strict=True))
