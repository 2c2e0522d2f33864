"""Seconds of a solve of one problem in ever more columns, of which the same few have coefficients.

Run it by ``python -m benchmarks.growth [--features N ...]``.

The designs are the first columns of one sparse matrix, and y is made of the first of these; alpha is the same
for all of them and so large that no other column comes in. So the support is the same, and what grows is X alone.
The table of exponents has b of seconds = a nnz**b, fitted in the logarithms: 1 is linear growth.
"""

import argparse
from statistics import median

import numpy as np
import sparseopt as so
from scipy import sparse

from benchmarks.data import noisy, sparse_normal
from benchmarks.measure import race
from benchmarks.report import markdown, save

SAMPLES, DENSITY = 10_000, 1e-3
# So many columns have coefficients, and more entries than the others, whose slopes are far smaller then.
TRUE, TRUE_DENSITY = 50, 0.2
FEATURES = (125_000, 250_000, 500_000, 1_000_000)
# alpha as a part of the largest.
PART = 0.4


def problems(features):
    """Two problems for each number of features, by (loss, features), and the X of each number."""
    rng = np.random.default_rng(0)
    true = sparse_normal(SAMPLES, TRUE, TRUE_DENSITY, rng)
    X = sparse.hstack([true, sparse_normal(SAMPLES, max(features) - TRUE, DENSITY, rng)], format="csc")
    score = noisy(true @ rng.choice([-1.0, 1.0], TRUE), rng)
    designs = {p: X[:, :p] for p in features}
    found = {}
    for p, design in designs.items():
        for loss, y in ((so.LeastSquares, score), (so.Logistic, np.sign(score))):
            alpha = PART * so.alpha_max(loss(true, y))
            found[loss.__name__, p] = lambda X=design, y=y, loss=loss, alpha=alpha: so.solve(
                so.Problem(loss(X, y), so.L1(alpha))
            )
    return found, designs


def exponent(rows):
    """b of seconds = a nnz**b."""
    return float(np.polyfit(np.log([row["nnz of X"] for row in rows]), np.log([row["CPU s"] for row in rows]), 1)[0])


def main():
    """Measure, print and save."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.growth", description="Growth of a solve with nnz(X).")
    parser.add_argument("--features", type=int, nargs="+", default=FEATURES, help="numbers of columns of X")
    parser.add_argument("--rounds", type=int, default=7, help="runs of each, which take turns (default 7)")
    parser.add_argument("--quick", action="store_true", help="a hundredth of the columns, saves nothing")
    options = parser.parse_args()
    features = tuple(p // 100 for p in options.features) if options.quick else tuple(options.features)
    solves, designs = problems(features)
    found = {key: solve() for key, solve in solves.items()}  # compiles what it needs
    times = race(solves, options.rounds)
    # the least that any solver does: one look at each entry
    residual = np.random.default_rng(0).standard_normal(SAMPLES)
    looks = race({p: lambda X=X: X.T @ residual for p, X in designs.items()}, options.rounds)
    rows = [
        {
            "loss": loss,
            "p": p,
            "nnz of X": designs[p].nnz,
            "support": int(np.count_nonzero(found[loss, p].w)),
            "relative gap": found[loss, p].certificate.relative_gap,
            "CPU s": median(times[loss, p]),
            "products with X'": median(times[loss, p]) / median(looks[p]),
        }
        for loss, p in sorted(solves)
    ]
    print(markdown(rows))
    exponents = [
        {"loss": loss, "exponent": exponent([row for row in rows if row["loss"] == loss])}
        for loss in dict.fromkeys(row["loss"] for row in rows)
    ]
    print(markdown(exponents))
    if not options.quick:
        save("growth", {"exponents": exponents, "seconds": rows})


if __name__ == "__main__":
    main()
