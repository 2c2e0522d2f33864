"""Who competes with whom: which weights stay, given how much each is worth."""

from __future__ import annotations

import enum
from dataclasses import dataclass

import numpy as np

from sparseopt.inputs import is_whole


class Scope(enum.Enum):
    """Among which weights the scores compete."""

    NETWORK = "network"
    LAYER = "layer"
    NEURON = "neuron"

    @classmethod
    def _missing_(cls, value):
        raise ValueError(f"scope is {value!r}; give network, layer or neuron.")

    def keep(self, scores, sparsity) -> list[np.ndarray]:
        """Return which weights have the highest scores, as booleans shaped like the scores of each layer.

        At least this part of the weights of the network, layer or neuron goes, but for one weight that
        each layer or neuron keeps. Of equal scores the first goes.
        """
        match self:
            case Scope.NETWORK:
                together = _keep(np.concatenate([score.ravel() for score in scores]), sparsity)
                parts = np.split(together, np.cumsum([score.size for score in scores])[:-1])
                kept = [part.reshape(score.shape) for part, score in zip(parts, scores, strict=True)]
                return alive(kept, scores)
            case Scope.LAYER:
                return [_keep(score.ravel(), sparsity).reshape(score.shape) for score in scores]
        return [np.apply_along_axis(_keep, 0, score, sparsity) for score in scores]


@dataclass(frozen=True)
class NofM:
    """Of every m consecutive inputs of a neuron, n are kept: 2 of 4 is what sparse tensor cores run.

    Where the inputs are no multiple of m, the last ones keep the same part of theirs, rounded up.
    """

    n: int
    m: int

    def __post_init__(self):
        if not (is_whole(self.n) and is_whole(self.m) and 1 <= self.n <= self.m):
            raise ValueError(f"the pattern is {self.n!r} of {self.m!r}; give whole numbers with 1 <= n <= m.")

    @property
    def sparsity(self) -> float:
        """Part of the weights that goes."""
        return 1 - self.n / self.m

    def keep(self, scores, sparsity) -> list[np.ndarray]:
        """Return the best weights of each group: n of them, or more on the way there, at a lesser sparsity."""
        n = max(self.n, int(np.ceil((1 - sparsity) * self.m - 1e-9)))
        return [self._keep_layer(score, n) for score in scores]

    def _keep_layer(self, score, n):
        kept = np.zeros(score.shape, bool)
        for start in range(0, len(score), self.m):
            group = score[start : start + self.m]
            count = -(-n * len(group) // self.m)
            best = np.argsort(-group, axis=0, kind="stable")[:count]
            np.put_along_axis(kept[start : start + self.m], best, values=True, axis=0)
        return kept


def alive(kept, scores, *, exchange=True) -> list[np.ndarray]:
    """Return the same weights, but that a layer with none gets its best one.

    In an exchange goes the worst of all kept weights in layers that have more than one, if there are such.
    """
    kept = [keep.copy() for keep in kept]
    for keep, score in zip(kept, scores, strict=True):
        if keep.any():
            continue
        keep.flat[np.argmax(score)] = True
        spare = [i for i, other in enumerate(kept) if exchange and other.sum() > 1]
        worst = [np.where(kept[i], scores[i], np.inf) for i in spare]
        if spare:
            i = int(np.argmin([values.min() for values in worst]))
            kept[spare[i]].flat[np.argmin(worst[i])] = False
    return kept


def _keep(scores, sparsity):
    # Rounded down with a little mercy: (1 - 0.9) * 10 is 0.9999999999999998.
    kept = max(int((1 - sparsity) * scores.size + 1e-9), 1)
    chosen = np.ones(scores.size, bool)
    chosen[np.argsort(scores, kind="stable")[: scores.size - kept]] = False
    return chosen
