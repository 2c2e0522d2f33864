"""One tree by several threads: `python -m benchmarks.subset_exact.threads [--threads N] [--pairs N] [--case TEXT]`.

Each case is solved by a tree without lanes, by one thread and by several, in turns. Printed are nodes and CPU seconds of
each, seconds of the clock of one thread over those of several for each pair of neighbours in time, and whether all digits agree.
Other work on the machine costs several threads more than one: the best pair is nearest to an idle machine.
"""

import argparse
import time

import numpy as np
from sparseopt import BranchAndBound, Cardinality, LeastSquares, Logistic, Problem, Ridged, Zero, solve
from sparseopt.solvers.trees import lanes

from benchmarks.data import correlated, standardized

#: Samples, features, k, correlation, signal to noise, and the ridge: searches of some hundred nodes.
CASES = {
    "least squares 500 x 1000": (LeastSquares, 500, 1000, 10, 0.1, 5.0, 0.015),
    "least squares 300 x 800": (LeastSquares, 300, 800, 8, 0.1, 4.0, 0.02),
    "least squares 500 x 250": (LeastSquares, 500, 250, 10, 0.5, 0.7, 0.004),
    "least squares 500 x 1000, open": (LeastSquares, 500, 1000, 10, 0.1, 5.0, 0.006),
    "logistic 400 x 400": (Logistic, 400, 400, 8, 0.3, 4.0, 0.006),
}
# Nodes of a run, at most.
_NODES = 1000


def drawn(loss, n, p, k, rho, snr, ridge):
    """The problem of a case."""
    rng = np.random.default_rng(0)
    X = standardized(correlated(n, p, rho, rng))
    z = X[:, np.arange(k) * (p // k)].sum(axis=1)
    y = z + np.sqrt(z.var() / snr) * rng.standard_normal(n)
    y = np.sign(y) if loss is Logistic else y - y.mean()
    return Problem(loss(X, y), Ridged(Zero(), ridge), Cardinality(k))


def timed(problem, threads, before):
    """A solution with its CPU seconds and those of the clock; the lanes begin after so many nodes."""
    held, lanes.BEFORE = lanes.BEFORE, before
    cpu, clock = time.process_time(), time.perf_counter()
    found = solve(problem, BranchAndBound(threads=threads), tol=1e-4, max_iter=_NODES)
    lanes.BEFORE = held
    return found, time.process_time() - cpu, time.perf_counter() - clock


def digits(found):
    """What may not depend on threads."""
    return found.status, found.iterations, found.w.tobytes(), found.certificate.lower_bound


def main():
    """Draw, solve in turns and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.subset_exact.threads", description=__doc__)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--case", default="", help="only cases that contain this text")
    options = parser.parse_args()
    alone, usual = lanes.Before(visited=2**62), lanes.BEFORE
    for name, case in CASES.items():
        if options.case not in name:
            continue
        problem = drawn(*case)
        timed(problem, 1, alone)
        rows = [
            [timed(problem, *how) for how in ((1, alone), (1, usual), (options.threads, usual))]
            for _ in range(options.pairs)
        ]
        cpu = [min(row[place][1] for row in rows) for place in range(3)]
        ratios = sorted(row[1][2] / row[2][2] for row in rows)
        same = all(digits(row[1][0]) == digits(row[2][0]) for row in rows)
        nodes = [run[0].iterations for run in rows[0]]
        print(
            f"{name}: {nodes[0]} nodes without lanes, {nodes[1]} with; CPU s {cpu[0]:.3f}, {cpu[1]:.3f}, "
            f"{cpu[2]:.3f} by {options.threads} threads; clock of one over {options.threads} threads: "
            f"{', '.join(f'{ratio:.2f}' for ratio in ratios)}; same digits: {same}",
            flush=True,
        )


if __name__ == "__main__":
    main()
