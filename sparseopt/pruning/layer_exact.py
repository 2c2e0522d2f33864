"""The best subset of each output of a layer, by branch and bound."""

from __future__ import annotations

import time
from dataclasses import dataclass

import numpy as np

from sparseopt.constraints import Cardinality
from sparseopt.losses import Quadratic
from sparseopt.problem import Problem
from sparseopt.pruning import supports
from sparseopt.pruning.layer_methods import LayerMethod
from sparseopt.pruning.layerwise import best_exchanges
from sparseopt.pruning.reconstruction import solve
from sparseopt.solve import solve as optimise
from sparseopt.solvers.branch_and_bound import BranchAndBound


@dataclass(frozen=True, kw_only=True)
class LayerwiseBranchAndBound(LayerMethod):
    """The best subset of each output, with its proof: for layers of some dozens of inputs.

    Each output keeps as many weights as the scores give it. Exchanges find a support, branch and bound a better one
    or the proof that there is none; where its seconds are over, the best by then is taken.

    Parameters
    ----------
    seconds : float, default=10
        For each layer.

    References
    ----------
    Bertsimas, King and Mazumder, "Best subset selection via a modern optimization lens" (2016).
    """

    seconds: float = 10.0

    def __post_init__(self):
        super().__post_init__()
        if not self.seconds > 0:
            raise ValueError(f"seconds is {self.seconds}; give seconds for each layer, 10 by default.")

    def _solve(self, gram, cross, kept, count):
        start = time.perf_counter()
        support = np.zeros(kept.shape, bool)
        for position, (row, b) in enumerate(zip(kept, cross, strict=True)):
            chosen = np.flatnonzero(row)
            if not chosen.size:
                continue
            chosen = best_exchanges(gram, b, chosen, 100)
            left = self.seconds - (time.perf_counter() - start)
            if left > 0 and chosen.size < row.size:
                # What an output leaves over, the others share.
                chosen = self._best(gram, b, chosen, left / (len(kept) - position))
            support[position, chosen] = True
        return supports.refit(gram, cross, support, self._workers), support

    @staticmethod
    def _best(gram, b, chosen, limit):
        weight = np.zeros(len(gram))
        weight[chosen] = solve(gram[np.ix_(chosen, chosen)], b[chosen])
        problem = Problem(Quadratic(gram, -b), constraint=Cardinality(chosen.size))
        found = optimise(problem, BranchAndBound(), weight, tol=1e-6, time_limit=limit).w
        # A perfect fit may take fewer weights than it may have.
        order = np.lexsort([-np.abs(weight), -np.abs(found)])
        return order[: chosen.size]
