"""Fill the store of machine code ahead of time, for container images and continuous integration."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
from scipy import sparse

from sparseopt._jit import compilations
from sparseopt.constraints import Box, Cardinality, L1Ball, LinearConstraint, Simplex
from sparseopt.losses import Huber, LeastSquares, Logistic, Poisson, Quadratic
from sparseopt.path import path
from sparseopt.penalties import L0, L1, MCP, SCAD, Nonnegative, Ridged, Weighted, Zero
from sparseopt.problem import Problem
from sparseopt.pruning import NumpyMLP, prune
from sparseopt.solve import solve
from sparseopt.solvers.active_set import ActiveSet
from sparseopt.solvers.coordinate_descent import CoordinateDescent
from sparseopt.solvers.gram_descent import GramDescent
from sparseopt.solvers.interior_point import InteriorPoint
from sparseopt.solvers.local_search import LocalSearch
from sparseopt.solvers.operator_splitting import OperatorSplitting
from sparseopt.solvers.prox_newton import ProxNewton
from sparseopt.solvers.proximal_gradient import ProximalGradient

# The processor whose code runs on nearly every server since 2015 (x86-64 psABI, level 3).
_PORTABLE = {"NUMBA_CPU_NAME": "x86-64-v3", "NUMBA_CPU_FEATURES": ""}


def combinations():
    """Pairs (problem, solver), one for each kernel version that is worth having ready."""
    rng = np.random.default_rng(0)
    X = rng.standard_normal((8, 4))
    y, labels = X @ [1.0, -1.0, 0.0, 0.0], np.array([-1.0, 1.0] * 4)
    convex = (L1(0.1), Ridged(L1(0.1), 0.1), Nonnegative(L1(0.1)), Weighted(L1(0.1), np.ones(4)))
    folded = (MCP(0.1), SCAD(0.1), L0(0.1))
    found = []

    def add(loss, penalty, *solvers, constraint=None):
        found.extend((Problem(loss, penalty, constraint), solver) for solver in solvers)

    descent, gradient, newton = CoordinateDescent(), ProximalGradient(), ProxNewton()
    for storage in (np.asfortranarray, sparse.csc_array):
        for intercept in (False, True):
            least_squares = LeastSquares(storage(X), y, intercept=intercept)
            for penalty in (*convex, *folded):
                add(least_squares, penalty, descent)
            add(least_squares, L1(0.1), gradient)
            add(LeastSquares(storage(X.astype(np.float32)), y, intercept=intercept), L1(0.1), descent)
            add(Logistic(storage(X), labels, intercept=intercept), L1(0.1), newton, descent, gradient)
            add(Logistic(storage(X), labels, intercept=intercept), Ridged(L1(0.1), 0.1), newton, descent)
            add(Huber(storage(X), y, intercept=intercept), L1(0.1), descent)
        add(LeastSquares(storage(X), y), Zero(), descent, constraint=Box(0.0, 1.0))
    add(LeastSquares(X, y), L1(0.1), GramDescent())
    add(LeastSquares(X, y), Zero(), LocalSearch(), constraint=Cardinality(2))
    add(LeastSquares(X, y), Zero(), gradient, constraint=Simplex())
    add(LeastSquares(X, y), Zero(), gradient, constraint=L1Ball())
    add(Quadratic(X.T @ X, X.T @ y), L1(0.1), descent, gradient)
    rows = LinearConstraint(np.ones((1, 4)), 1.0, 1.0)
    add(Quadratic(X.T @ X, X.T @ y), Zero(), ActiveSet(), constraint=rows)
    for Q in (X.T @ X, sparse.csc_array(X.T @ X)):
        add(Quadratic(Q, X.T @ y), Zero(), InteriorPoint(), OperatorSplitting(), constraint=rows)
    return found


def little_losses():
    """Losses on little dense data, whose paths have kernels of their own, and single fits of all but least squares."""
    X = np.random.default_rng(0).standard_normal((8, 4))
    targets = {LeastSquares: X[:, 0], Logistic: np.array([-1.0, 1.0] * 4), Poisson: np.arange(8.0)}
    return [loss(X, y, intercept=intercept) for loss, y in targets.items() for intercept in (False, True)]


def warmup(progress=None, bundle=None):
    """Compile the common combinations of loss, penalty, storage and solver, and keep them on disk.

    Parameters
    ----------
    progress : text stream, optional
        Where a line for each combination goes.
    bundle : path, optional
        Directory for code that runs on any processor of level x86-64-v3; other processes find it
        through the environment variable SPARSEOPT_BUNDLE, or as a package sparseopt_bundle.

    Returns
    -------
    int
        Kernel versions compiled now; 0 where all were there. For a bundle, files in it.
    """
    if bundle is not None:
        return _bundle(Path(bundle), progress)
    start, (before, _) = time.perf_counter(), compilations()
    work, little = combinations(), little_losses()
    total = len(work) + len(little) + 1

    def show(number, name):
        if progress is not None:
            progress.write(f"[{number}/{total}] {time.perf_counter() - start:5.1f} s  {name}\n")

    for number, (problem, solver) in enumerate(work, start=1):
        solve(problem, solver, tol=1e-3, max_iter=5)
        show(number, f"{type(problem.loss).__name__}, {type(problem.proximal).__name__}, {type(solver).__name__}")
    for number, loss in enumerate(little, start=len(work) + 1):
        path(Problem(loss), [L1(0.1)], tol=1e-3)
        show(number, f"{type(loss).__name__}, L1, path")
    rng = np.random.default_rng(0)
    prune(
        NumpyMLP([rng.standard_normal((4, 3)), rng.standard_normal((3, 2))]), rng.standard_normal((20, 4)), sparsity=0.5
    )
    compiled = compilations()[0] - before
    show(total, f"pruning; {compiled} compiled")
    return compiled


def _bundle(directory, progress):
    """Run the warm-up for the portable processor in a process of its own: the target is fixed at import."""
    directory.mkdir(parents=True, exist_ok=True, mode=0o700)
    environment = {**os.environ, **_PORTABLE, "SPARSEOPT_CACHE_DIR": str(directory.resolve())}
    program = "import sys; from sparseopt.warmup import warmup; warmup(progress=sys.stdout)"
    with subprocess.Popen([sys.executable, "-c", program], env=environment, stdout=subprocess.PIPE, text=True) as run:  # noqa: S603 (our own program)
        for line in run.stdout:
            if progress is not None:
                progress.write(line)
    if run.returncode:
        raise RuntimeError(f"the warm-up for {directory} ended with code {run.returncode}; its errors stand above.")
    return len(list(directory.glob("*.nbc")))
