"""ModOpt's FISTA with greedy restarts (Liang et al., 2022)."""

import math

import numpy as np
from modopt.opt.algorithms import ForwardBackward
from modopt.opt.gradient import GradParent
from modopt.opt.linear import Identity
from modopt.opt.proximity import SparseThreshold

from benchmarks.grammar import decades
from benchmarks.peers.fista import GradientSolver


class ModoptFista(GradientSolver):
    """It has no measure of its own that ends it: the tolerance t stands for 10 / sqrt(t) iterations."""

    name = "ModOpt FISTA"
    requirements = ["pip::modopt"]
    tolerances = decades(1, 10, steps=4)

    def fit(self, problem, tolerance):
        term, step = self.smooth(problem), self.length
        gradient = GradParent(
            problem.y, term.value, term.value, get_grad=lambda w: setattr(gradient, "grad", term.slope(w))
        )
        threshold = SparseThreshold(Identity(), np.full(problem.X.shape[1], problem.alpha))
        # the parameters of greedy FISTA, from its paper
        run = ForwardBackward(
            x=self.start(problem), grad=gradient, prox=threshold, cost=None, beta_param=1.3 * step, min_beta=step,
            restart_strategy="greedy", xi_restart=0.96, s_greedy=1.1, p_lazy=1.0, q_lazy=1.0, auto_iterate=False,
            metric_call_period=None, verbose=False, progress=False,
        )  # fmt: skip
        run.iterate(max_iter=math.ceil(10 / math.sqrt(tolerance)))
        return run.x_final
