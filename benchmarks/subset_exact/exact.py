"""What the solvers of this suite share: a gap for a tolerance, a limit, and a warm-up on little data."""

from types import SimpleNamespace

import numpy as np

from benchmarks.grammar import TunedSolver

# CPU seconds (of peers, seconds) after which a solver gives up.
LIMIT = 60.0
# Why solvers of a perspective relaxation alone are left out where there is nothing to relax.
NO_RIDGE = "it is made for problems with a ridge, and not raced without one"


class ExactSolver(TunedSolver):
    """A subclass has `prove`, which gives w, the gap it claims, and nodes."""

    tolerances = (1e-2, 1e-4, 1e-6)

    def warm_up(self):
        """On data of which nothing is hard: what is compiled is the same."""
        rng, held = np.random.default_rng(0), self.problem
        X = np.asfortranarray(rng.standard_normal((60, 80)))
        y = X[:, :3].sum(axis=1)
        small = {"k": 3, "l0": 1.0, "l2": 0.6, "M": 2.0, "start": np.arange(3)}
        self.problem = SimpleNamespace(X=X, y=y, **small)
        self.run(1e-2)
        self.problem = held

    def fit(self, problem, tolerance):
        w, self.gap, self.nodes = self.prove(problem, tolerance)
        return w

    def get_result(self):
        return {"w": self.w, "gap": float(self.gap), "nodes": int(self.nodes)}
