"""Seconds to a proven gap on portfolios with at most k assets.

Run it by ``python -m benchmarks.cardinality_portfolios``. All are asked for the same relative gap, which is computed here
from the portfolio and the bound that each returns. A run that came to its limit counts with the time it had.
"""

import argparse
from statistics import median

from benchmarks.cardinality_portfolios.portfolios import large, small
from benchmarks.cardinality_portfolios.solvers import SOLVERS
from benchmarks.report import markdown, save


def runs(portfolios, names, gap, seconds):
    """One row for each portfolio and solver: a generator."""
    for draw, portfolio in portfolios:
        for name in names:
            row = {"portfolio": portfolio.kind, "draw": draw, "solver": name, "asked": gap}
            row |= SOLVERS[name](portfolio, gap, seconds)
            print(row, flush=True)
            yield row


def summary(rows):
    """Medians over the draws, and the time over ours."""
    found = []
    for kind in dict.fromkeys(row["portfolio"] for row in rows):
        group = [row for row in rows if row["portfolio"] == kind]
        ours = {row["draw"]: row["seconds"] for row in group if row["solver"] == "sparseopt"}
        for name in dict.fromkeys(row["solver"] for row in group):
            own = [row for row in group if row["solver"] == name]
            found.append({
                "portfolio": kind,
                "solver": name,
                "solved": f"{sum(row['solved'] for row in own)} of {len(own)}",
                "seconds": median(row["seconds"] for row in own),
                "over ours": median(row["seconds"] / ours[row["draw"]] for row in own),
                "largest gap": max(row["gap"] for row in own),
                "largest violation": max(row["violation"] for row in own),
                "nodes": median(row["nodes"] for row in own),
            })  # fmt: skip
    return found


def main():
    """Measure, print and save."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.cardinality_portfolios", description=__doc__)
    parser.add_argument("--draws", type=int, default=3, help="draws of each portfolio (default 3)")
    parser.add_argument("--seed", type=int, default=9000, help="of the first draw (default 9000)")
    parser.add_argument("--limit", type=float, default=60.0, help="seconds of a run (default 60)")
    parser.add_argument("--solver", nargs="+", default=list(SOLVERS), choices=list(SOLVERS))
    parser.add_argument("--part", nargs="+", default=["small", "large"], choices=["small", "large"])
    parser.add_argument("--quick", action="store_true", help="one draw, two seconds, saves nothing")
    options = parser.parse_args()
    draws, limit = (1, 2.0) if options.quick else (options.draws, options.limit)
    seeds = range(options.seed, options.seed + 10 * draws, 10)
    for portfolio in small(1):  # the first calls compile, and are not counted
        SOLVERS["sparseopt"](portfolio, 1e-2, 2.0)
    tables = {}
    if "small" in options.part:
        drawn = [(seed, portfolio) for seed in seeds for portfolio in small(seed)]
        tables["small runs"] = list(runs(drawn, options.solver, 1e-6, limit))
    if "large" in options.part:
        drawn = [(seed, portfolio) for seed in seeds for portfolio in large(seed)]
        tables["large runs"] = list(runs(drawn, ["sparseopt"], 1e-3, limit))
    shown = {name.removesuffix(" runs"): summary(rows) for name, rows in tables.items()}
    for rows in shown.values():
        print(markdown(rows))
    if not options.quick:
        save("cardinality_portfolios", shown | tables, unread=tuple(tables))


if __name__ == "__main__":
    main()
