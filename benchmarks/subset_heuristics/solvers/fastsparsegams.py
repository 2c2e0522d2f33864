"""fastSparse (Liu et al., 2022), which is L0Learn (Hazimeh and Mazumder, 2020) with wheels for today's Python.

Descent, and with it local swaps (CDPSI), along a path of penalties of its own; the first support of k features counts,
or the k largest coefficients of the first larger one.
"""

import fastsparsegams
import numpy as np

from benchmarks.grammar import TunedSolver


class Solver(TunedSolver):
    """Without an intercept: the data is centred."""

    name = "fastSparse"
    requirements = ["pip::fastsparsegams"]
    parameters = {"algorithm": ["CD", "CDPSI"]}
    parameter_template = "{algorithm}"
    tolerances = (1e-6,)

    def fit(self, problem, tolerance):
        k = problem.k
        found = fastsparsegams.fit(
            problem.X, problem.y, loss="SquaredError", penalty="L0", algorithm=self.algorithm,
            max_support_size=k + 3, intercept=False,
        )  # fmt: skip
        sizes = np.array(found.support_size[0])
        exact, larger = np.flatnonzero(sizes == k), np.flatnonzero(sizes > k)
        place = exact[-1] if exact.size else (larger[0] if larger.size else sizes.size - 1)
        w = np.asarray(found.coeffs[0][:, place].todense()).ravel()[-problem.X.shape[1] :]
        kept = np.zeros_like(w)
        largest = np.argsort(-np.abs(w))[:k]
        kept[largest] = w[largest]
        return kept
