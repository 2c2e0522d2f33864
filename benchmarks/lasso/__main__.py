"""The race: every solver tuned to one common duality gap, then all take turns in one process.

    python -m benchmarks.lasso [--datasets TEXT ...] [--solvers TEXT ...] [--over N ...] [--gap G] [--rounds N]

1. Tuning. A solver's own tolerance goes down by half a decade at a time until its w reaches the gap. The
   points on the way are its curve of gap over time.
2. Race. One run of each solver in turn, its warm-up outside the clock, until it has used its budget.
3. First calls. New processes with an empty cache of compiled code, then with a filled one.
"""

import argparse
import tempfile
import warnings
from pathlib import Path
from statistics import median

from benchmarks.lasso import grammar
from benchmarks.lasso.plots import plot_gaps, plot_times
from benchmarks.measure import cpu_seconds, in_new_process, race
from benchmarks.report import RESULTS, markdown, save

FIRST = "import sys; from benchmarks.lasso.first_call import main; main(*sys.argv[1:])"
TOLERANCES = [10 ** (-k / 2) for k in range(4, 33)]


def tune(solver, objective, gap, patience):
    """The curve of (tolerance, CPU seconds, relative gap) down to the tolerance that reaches the gap, or out of patience."""
    solver.warm_up()
    curve = []
    for tolerance in TOLERANCES:
        seconds = cpu_seconds(lambda: solver.run(tolerance))  # noqa: B023 (called at once)
        reached = objective.evaluate_result(**solver.get_result())
        curve.append({"tolerance": tolerance, "CPU s": seconds, **reached})
        if reached["relative_gap"] <= gap or sum(point["CPU s"] for point in curve) > patience:
            break
    return curve


def compete(dataset, objective, solvers, gap, rounds, budget, patience):
    """Rows of the race on one problem, fastest first, and the curves of the tuning."""
    problem = {"dataset": repr(dataset), "alpha": f"max / {objective.alpha_max_over}"}
    curves, runners, rows = [], {}, []
    for solver in solvers:
        skipped, reason = solver.skip(**objective.get_objective())
        if skipped:
            print(f"  {solver}: skipped, {reason}", flush=True)
            continue
        solver.set_objective(**objective.get_objective())
        curve = tune(solver, objective, gap, patience)
        curves += [{**problem, "solver": repr(solver), **point} for point in curve]
        last = curve[-1]
        print(f"  {solver}: gap {last['relative_gap']:.1e} in {last['CPU s']:.3f} s", flush=True)
        row = {
            **problem,
            "solver": repr(solver),
            "tolerance": last["tolerance"],
            "gap": last["relative_gap"],
            "support": last["support_size"],
        }
        if last["relative_gap"] <= gap:
            runners[repr(solver)] = lambda run=solver.run, tolerance=last["tolerance"]: run(tolerance)
            rows.append(row)
        else:
            rows.append(row | {"CPU s": None, "fastest s": None, "times the fastest": None, "runs": 0})
    times = race(runners, rounds, budget=budget)
    best = min(median(t) for t in times.values())
    for row in rows:
        if t := times.get(row["solver"]):
            row |= {"CPU s": median(t), "fastest s": min(t), "times the fastest": median(t) / best, "runs": len(t)}
    return sorted(rows, key=lambda row: row["CPU s"] or float("inf")), curves


def first_calls(dataset, over, solvers, tolerances):
    """First calls with an empty and with a filled cache, and later ones, each process on its own."""
    rows = []
    for solver in solvers:
        if repr(solver) not in tolerances:
            continue
        arguments = repr(dataset), type(solver).__module__, repr(solver), over, tolerances[repr(solver)]
        with tempfile.TemporaryDirectory() as caches:
            cold, warm = (in_new_process(FIRST, *arguments, caches=caches) for _ in range(2))
        rows.append({
            "dataset": repr(dataset), "solver": repr(solver),
            "first, empty cache s": cold[0], "first, filled cache s": warm[0], "later s": median(warm[1:]),
        })  # fmt: skip
        print(markdown(rows).splitlines()[-1], flush=True)
    return rows


def main():
    """Measure, print, save and plot."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.lasso", description="The lasso to one common duality gap."
    )
    parser.add_argument(
        "--datasets", nargs="*", default=[""], metavar="TEXT", help="datasets whose name contains one of these"
    )
    parser.add_argument(
        "--solvers", nargs="*", default=[""], metavar="TEXT", help="solvers whose name contains one of these"
    )
    parser.add_argument("--over", nargs="*", type=int, default=[10, 30, 100], metavar="N", help="alpha = alpha_max / N")
    parser.add_argument("--gap", type=float, default=1e-6, help="relative duality gap to reach (default 1e-6)")
    parser.add_argument("--rounds", type=int, default=9, help="runs of each solver (default 9)")
    parser.add_argument(
        "--budget", type=float, default=10.0, help="CPU seconds after which a solver races no more (default 10)"
    )
    parser.add_argument(
        "--patience", type=float, default=60.0, help="CPU seconds after which a solver is tuned no more (default 60)"
    )
    parser.add_argument("--out", type=Path, default=RESULTS, help="directory of the results")
    options = parser.parse_args()
    warnings.simplefilter("ignore")  # of solvers that do not reach their tolerance: the table shows it

    def is_chosen(instance, texts):
        return any(text.lower() in repr(instance).lower() for text in texts)

    races, curves, firsts = [], [], []
    solvers = [solver for solver in grammar.solvers() if is_chosen(solver, options.solvers)]
    for dataset in (d for d in grammar.datasets() if is_chosen(d, options.datasets)):
        data = dataset.get_data()
        tolerances = {}
        for over in options.over:
            print(f"{dataset}, alpha_max / {over}", flush=True)
            objective = grammar.objective_on(data, over)
            rows, points = compete(
                dataset, objective, solvers, options.gap, options.rounds, options.budget, options.patience
            )
            print(markdown(rows), flush=True)
            races += rows
            curves += points
            tolerances = tolerances or {row["solver"]: row["tolerance"] for row in rows if row["runs"]}
        firsts += first_calls(dataset, options.over[0], solvers, tolerances)
    save(
        "lasso",
        {f"race to a gap of {options.gap:g}": races, "first calls": firsts, "gap over time": curves},
        options.out,
    )
    plot_times(races, options.out / "lasso-times.svg")
    plot_gaps(curves, options.gap, options.out / "lasso-gaps.svg")


if __name__ == "__main__":
    main()
