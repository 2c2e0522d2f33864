"""Best subsets of many sizes in one run: the search passes through every size twice, up and down."""

from __future__ import annotations

import time
from dataclasses import replace

from sparseopt.certificate import certify
from sparseopt.constraints import Cardinality
from sparseopt.solution import Solution, Status
from sparseopt.solvers.local_search import LocalSearch, refitted, search_of


def takes(problem, terms, solver):
    """Whether the path is one of sizes for `LocalSearch`, without kicks, which belong to one size."""
    if not all(isinstance(term, Cardinality) for term in terms):
        return False
    solver = LocalSearch(kicks=0) if solver is None else solver
    if not isinstance(solver, LocalSearch) or solver.kicks != 0 or solver.restarts:
        return False
    # what falls without end does so where most are admitted
    return solver.rejects(replace(problem, constraint=max(terms, key=lambda term: term.k))) is None


def in_one_run(problem, terms, solver, end):
    """A generator of the problem under each term, and its solution."""
    solver = LocalSearch(kicks=0) if solver is None else solver
    begin = time.perf_counter()
    sizes = [term.k for term in terms]
    widest = replace(problem, constraint=Cardinality(max(sizes)))
    search, reading = search_of(widest, solver, down_to=min(sizes))
    status = Status.CONVERGED
    for _ in search.run():
        if time.perf_counter() > end:
            status = Status.TIME_LIMIT
            break
    share = (time.perf_counter() - begin) / len(terms)
    for term in terms:
        start = time.perf_counter()
        here = replace(problem, constraint=term)
        found = search.best_of(term.k)
        w = refitted(here, reading, found.support).astype(problem.dtype) + 0.0
        yield (
            here,
            Solution(
                w=w.reshape(problem.shape),
                intercept=problem.loss.intercept_at(w.astype(float)),
                status=status,
                certificate=certify(here, w),
                iterations=search.moves,
                seconds=share + time.perf_counter() - start,
                solver=repr(solver),
                feature_names=problem.loss.feature_names,
                account=f"{search.moves} moves for {len(terms)} sizes",
            ),
        )
