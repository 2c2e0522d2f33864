"""Where a local search under a loss on samples begins: at what a relaxation says, or at a support that is given.

The perspective relaxation of `trees.sample_relaxation` shows in one solve which features matter together, where growth
takes a refit for each. The stronger its ridge, the more evenly it looks at features that are alike, so that it has one
also where the problem has less or none: only the support is taken from it, and exchanges make good what that has bent.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from sparseopt.solvers.subsets.model_search import ModelSearch, ModelState
from sparseopt.solvers.trees.sample_relaxation import SampleRelaxation

# Least ridge of the relaxation, as a part of the median curvature of the loss in a feature.
_RIDGE = 0.08
# Entries of X below which growth takes no longer, and needs no compiled loops.
_WORTH = 100_000
# Features, those that gain most in the relaxation, among which its support is improved by exchanges.
_POOL = 100


def begin_search(loss, subset, options, w):
    """The state of a `LocalSearch` with a loss on samples, from the support of w if it has one."""
    search = ModelSearch(loss, subset)
    sizes = np.where(search.is_open, np.abs(w), 0.0)
    start = np.argsort(-sizes, kind="stable")[: min(search.k, int(np.count_nonzero(sizes)))]
    relaxation = None if start.size else relaxed(search)
    # a relaxation leaves little that kicks would find, and each of them takes several refits
    is_plain = relaxation is not None and options.kicks is None
    run = search.run(
        0 if is_plain else options.kicks_under(loss),
        options.restarts,
        options.seed,
        start if start.size else None,
        beginning=None if relaxation is None else begun(search, relaxation),
    )
    return ModelState(w=np.zeros_like(w), search=search, rest=run)


def relaxed(search):
    """The relaxation at which a search may begin; None where X is small, or there is a price, a bound or a required feature."""
    loss, subset, view = search.view.loss, search.subset, search.view
    if view.rows.size < _WORTH or subset.alpha or subset.has_bounds or subset.required.size:
        return None
    bends = view.bends(view.point(np.full(view.y.size, search.origin)), 0.0)
    curvature = float(np.mean(bends) * np.median(view.norms) ** 2)
    subset = replace(subset, ridge=max(subset.ridge, _RIDGE * curvature))
    return None if SampleRelaxation.rejects(loss, subset) else SampleRelaxation(loss, subset, view)


def begun(search, relaxation):
    """Go to the support that a relaxation leads to, and exchange among what gains most there: a generator."""
    support = yield from relaxation.look(search.fit.objective)
    search.begin_at(support, relaxation.work.w, relaxation.work.intercept)
    yield from search.exchanged(relaxation.work.worthy(_POOL))
