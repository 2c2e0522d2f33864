"""What the solvers of this suite share: a warm-up on labels."""

from types import SimpleNamespace

import numpy as np

from benchmarks.subset_exact.exact import ExactSolver


class LabelledSolver(ExactSolver):
    """An exact solver for labels."""

    def warm_up(self):
        """On data of which nothing is hard: what is compiled is the same."""
        rng, held = np.random.default_rng(0), self.problem
        X = np.asfortranarray(rng.standard_normal((60, 80)))
        y = np.where(X[:, :3].sum(axis=1) + 0.5 * rng.standard_normal(60) > 0.0, 1.0, -1.0)
        self.problem = SimpleNamespace(X=X, y=y, k=3, l0=1.0, l2=0.6, M=2.0, start=np.arange(3))
        self.run(1e-2)
        self.problem = held
