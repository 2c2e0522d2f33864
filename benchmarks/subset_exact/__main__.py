"""Exact solvers for the best subset: `python -m benchmarks.subset_exact --help`."""

import argparse
import warnings
from pathlib import Path
from statistics import median

from benchmarks.contestants import chosen, entered, is_chosen
from benchmarks.measure import race
from benchmarks.report import PACKAGES, RESULTS, commit, markdown, save
from benchmarks.suite import Suite


def options_of(suite, arguments):
    """The command line."""
    parser = argparse.ArgumentParser(prog=f"python -m benchmarks.{suite.name}", description=suite.objective.__doc__)
    add = parser.add_argument
    add("--dataset", nargs="*", default=[""], metavar="TEXT", help="datasets whose group contains one of these")
    add("--solver", nargs="*", default=[""], metavar="TEXT", help="solvers whose name contains one of these")
    add("--gap", nargs="*", type=float, default=[1e-2, 1e-4, 1e-6], help="gaps to close (default 1e-2 1e-4 1e-6)")
    add("--all", action="store_true", help="also the other forms of the problem")
    add("--other-python", metavar="PATH", help="interpreter for the peers that cannot be installed beside us")
    add("--repeats", type=int, default=3, help="runs of each solver for each gap (default 3)")
    add("--patience", type=float, default=200.0, help="seconds after which another interpreter is given up")
    add("--quick", action="store_true", help="tiny data, nothing saved")
    add("--out", type=Path, help="directory of the results (default benchmarks/results)")
    return parser.parse_args(arguments)


def run_cell(dataset, objective, contestants, options):
    """Rows of all solvers and gaps on one dataset; where a solver fails, the reason is printed."""
    objective.set_data(**dataset.get_data())
    takers = entered(contestants, objective.get_objective())
    rows = []
    for gap in options.gap:
        runners = {contestant: lambda run=contestant.run, gap=gap: run(gap) for contestant in takers}
        times = race(runners, options.repeats, budget=60.0, clock=lambda call, _: call())
        for contestant, taken in times.items():
            graded = objective.evaluate_result(**contestant.result())
            rows.append({
                "dataset": dataset.group, "asked": gap, "solver": contestant.name, "seconds": median(taken), **graded,
                "commit": commit(),
            })  # fmt: skip
            print(f"  {gap:g} {contestant.name}: {median(taken):.4f} s, {graded}", flush=True)
    return rows


def main(arguments=None):
    """Measure, print and save."""
    suite = Suite("subset_exact")
    options = options_of(suite, arguments)
    warnings.simplefilter("ignore")
    hosts, contestants = chosen(suite, options)
    objective, rows = suite.objective.get_instance(), []
    try:
        for dataset in (d for d in suite.datasets(options.quick) if is_chosen(d.group, options.dataset)):
            print(dataset.group, flush=True)
            rows += run_cell(dataset, objective, contestants, options)
    finally:
        tables = {"exact": rows}
        for host in hosts[1:]:
            tables["versions elsewhere"] = [host.versions(PACKAGES)]
            host.close()
        if rows:
            print(markdown(rows), flush=True)
        if rows and (options.out or not options.quick):
            save("subset_exact", tables, options.out or RESULTS)
    return rows


if __name__ == "__main__":
    main()
