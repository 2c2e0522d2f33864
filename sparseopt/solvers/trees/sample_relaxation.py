"""Lower bounds for the choice of features under a loss on samples, by the perspective relaxation.

With v_i the slopes of phi at any point, made to sum to zero under the weights with an intercept, and
t = -X'(s v), Fenchel duality gives for all supports that agree with a node

    - sum_i s_i phi*(y_i, v_i) - sum over features that are in (gain(t_j) - alpha) - sum of the largest positive gain(t_j) - alpha

with the gains of `kernels.perspective`. It is the best that the relaxation has to give at a minimiser of the loss and
the relaxed prices: proximal Newton steps go there, on the few features that matter, and with each the price of a
feature, until as many are in as may be. Steps are made on the members (see `kernels.sample_nodes`) until these are known,
before all features are looked at. Every point on the way is a bound, and fixes features, all those whose other
choice it closes (Guyard, Herzet, Elvira and Arslan, 2024). No node needs to be solved to the end.
"""

from __future__ import annotations

import time
from copy import copy

import numpy as np

from sparseopt.conjugates import has_conjugate
from sparseopt.losses import LeastSquares, SampleLoss
from sparseopt.solvers.subsets.model_search import ModelSearch
from sparseopt.solvers.subsets.sample_fit import fit_support
from sparseopt.solvers.subsets.sample_view import SampleView
from sparseopt.solvers.trees.sample_node import SampleNode
from sparseopt.solvers.trees.sample_work import SampleWork
from sparseopt.solvers.trees.tree import FREE, IN, OUT, Relaxation, Relaxed

# Features, those that gain most in the relaxation, among which the first support is improved by exchanges.
_POOL = 100


class SampleRelaxation(Relaxation):
    """The relaxation of one problem.

    Parameters
    ----------
    loss : SampleLoss
    subset : SubsetProblem
        Single features, without hierarchy.
    view : SampleView, optional
    keep_points : bool
        Return the points that prove the bounds: (features, values, intercept).
    """

    def __init__(self, loss, subset, view=None, *, keep_points=False):
        self.loss, self.subset, self.n_units = loss, subset, subset.n_features
        self.view = SampleView(loss) if view is None else view
        p = self.n_units
        self.curve = np.full(p, float(subset.ridge))
        self.lower = np.full(p, -np.inf) if subset.lower is None else subset.lower
        self.upper = np.full(p, np.inf) if subset.upper is None else subset.upper
        self.keep_points = keep_points
        #: No part of the curvature of the loss is moved into the prices.
        self.moved = None
        #: The run of the last node, whose child is mostly the next, and the supports that were worth an evaluation.
        self.last, self.seen = None, set()
        #: Where children of the node that was branched on last begin, and the fitted values there.
        self.branched = None, None
        zero = np.zeros(self.view.y.size)
        self.intercept = self.view.settled(zero) if loss.intercept else 0.0
        self.begin()

    def begin(self):
        """Scratch of the nodes, and what the last one left."""
        self.work = SampleWork(self.view, self.subset, self.curve, self.lower, self.upper, self.intercept)

    def twin(self):
        twin = copy(self)
        twin.last, twin.seen, twin.branched = None, copy(self.seen), (None, None)
        twin.begin()
        return twin

    @staticmethod
    def rejects(loss, subset):
        """Why nothing can be proven of the problem here, in words; None if something can."""
        if not isinstance(loss, SampleLoss) or isinstance(loss, LeastSquares) or not has_conjugate(loss):
            return f"it takes losses on samples with a conjugate, not {type(loss).__name__}"
        if subset.groups is not None or subset.has_rows:
            return "it chooses single features under a loss on samples"
        if subset.ridge == 0.0 and not (
            subset.has_bounds and np.all(np.isfinite(subset.lower)) and np.all(np.isfinite(subset.upper))
        ):
            return (
                f"nothing is proven under {type(loss).__name__} without a limit to every coefficient; "
                "add a ridge, Ridged(penalty, beta), or bounds, Box(-M, M)"
            )
        if not SampleView.fits_memory(loss):
            return "X is too large to be kept dense; choose among fewer features"
        return None

    def first_status(self):
        """What the problem itself fixes."""
        status = np.full(self.n_units, np.int8(FREE))
        status[self.subset.forbidden] = OUT
        status[self.subset.required] = IN
        return status

    def relax(self, status, start, threshold, until):
        if np.count_nonzero(status == IN) > self.subset.k:
            return Relaxed(np.inf)
        if isinstance(start, SampleNode):
            run = start
            run.resume(status, threshold)
        else:
            run = SampleNode(self, status, start, threshold)
        self.last = run
        while not run.is_done:
            run.advance()
            if time.perf_counter() >= until and not run.is_done:
                return run.interrupted()
        return run.result()

    def look(self, height):
        """The support that the relaxation at the root leads to, known roughly; `height` is an objective that is attained.

        A generator that returns it; the root begins where this ends.
        """
        status = self.first_status()
        self.last = run = SampleNode(self, status, None, height)
        while not run.is_done:
            run.advance()
            yield
        run.result()
        # what was fixed on the way is not known to the root, nor what was proven with it
        self.first_start = run.start = (*run.start[:4], None, -np.inf)
        return np.empty(0, dtype=np.intp) if run.support is None else run.support

    def evaluate(self, support):
        support, w = np.asarray(support, dtype=np.intp), np.zeros(self.n_units)
        if support.size > self.subset.k:
            return np.inf, w
        fit = fit_support(self.view, self.subset, support, self.work.w[support], self.work.intercept)
        w[support] = fit.x
        return fit.objective, w


def prepare_samples(loss, subset, *, keep_points):
    """The relaxation of a problem, and the objective and coefficients of a first support, in parts: a generator.

    It yields None, or a function that gives the best coefficients so far, should time run out.
    """
    view = yield from SampleView.in_parts(loss)
    relaxation = SampleRelaxation(loss, subset, view, keep_points=keep_points)
    search = ModelSearch(loss, subset, view)
    rounded = None
    if not search.fit.support.size and not subset.has_bounds:
        support = yield from relaxation.look(search.fit.objective)
        rounded = search.begin_at(support, relaxation.work.w, relaxation.work.intercept)
        for _ in search.exchanged(relaxation.work.worthy(_POOL)):
            yield lambda: _coefficients(search.best, subset.n_features)
    if search.best is not rounded:
        # the relaxation does not show the best support: growth alone, and exchanges at the end
        for _ in search.run(few=0):
            yield lambda: _coefficients(search.best, subset.n_features)
    point = _coefficients(search.best, subset.n_features)
    return relaxation, search.best.objective, point


def _coefficients(fit, n_features):
    w = np.zeros(n_features)
    w[fit.support] = fit.x
    return w
