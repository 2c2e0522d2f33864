"""skscope (Wang et al., 2024): splicing on a loss that jax differentiates."""

import numpy as np
from skscope import ScopeSolver

from benchmarks.grammar import TunedSolver


class Solver(TunedSolver):
    """Its derivatives are compiled once for each shape, in the warm-up."""

    name = "skscope"
    requirements = ["pip::skscope"]
    tolerances = (1e-6,)
    is_extra = True

    def fit(self, problem, tolerance):
        import jax
        import jax.numpy as jnp

        jax.config.update("jax_enable_x64", True)
        X, y = jnp.asarray(problem.X), jnp.asarray(problem.y)
        solver = ScopeSolver(problem.X.shape[1], problem.k)
        return np.asarray(solver.solve(lambda w: jnp.sum((y - X @ w) ** 2), jit=True))
