"""A million samples of a thousand features: `python -m benchmarks.subset_exact.million [--samples N]`; 4 GB for X.

The Gram matrix takes one pass over X, and nothing reads it again but the certificate.
"""

import argparse
import resource
import time

import numpy as np
from sparseopt import BranchAndBound, Cardinality, LeastSquares, Problem, Ridged, Zero, solve

# Features, those with an effect, correlation of neighbours, and standard deviation of the noise.
FEATURES, EFFECTS, RHO, NOISE = 1000, 10, np.float32(0.5), np.float32(30.0)


def drawn(n):
    """Float32 columns, each correlated with the one before, and targets; made column by column."""
    rng = np.random.default_rng(0)
    X = np.empty((n, FEATURES), dtype=np.float32, order="F")
    for j in range(FEATURES):
        fresh = rng.standard_normal(n, dtype=np.float32)
        X[:, j] = fresh if j == 0 else RHO * X[:, j - 1] + np.sqrt(1 - RHO**2) * fresh
    truth = np.arange(EFFECTS) * (FEATURES // EFFECTS)
    return X, X[:, truth].sum(axis=1) + NOISE * rng.standard_normal(n, dtype=np.float32)


def peak():
    """The largest memory so far, in GB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


def main():
    """Draw, compile on a few rows, solve and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.subset_exact.million", description=__doc__)
    parser.add_argument("--samples", type=int, default=1_000_000)
    X, y = drawn(parser.parse_args().samples)

    def run(X, y, **limits):
        problem = Problem(LeastSquares(X, y), Ridged(Zero(), 1e-3), Cardinality(EFFECTS))
        return solve(problem, BranchAndBound(), tol=1e-6, **limits)

    run(np.asfortranarray(X[:2000]), y[:2000], max_iter=1)
    before, start = peak(), time.process_time()
    solution = run(X, y)
    seconds = time.process_time() - start
    print(f"{seconds:.1f} CPU seconds, peak {peak():.2f} GB ({before:.2f} before): {solution}")


if __name__ == "__main__":
    main()
