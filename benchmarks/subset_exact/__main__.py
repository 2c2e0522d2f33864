"""Exact solvers for the best subset: `python -m benchmarks.subset_exact --help`."""

import argparse
import warnings
from pathlib import Path
from statistics import median

from benchmarks.contestants import chosen, entered, is_chosen
from benchmarks.measure import race
from benchmarks.report import PACKAGES, RESULTS, commit, kept_rows, markdown, save
from benchmarks.suite import Suite

# Features from which one draw has to do: peers take minutes.
LARGE = 10_000


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
    add("--draws", type=int, default=3, help="draws of each problem, one of the largest (default 3)")
    add("--patience", type=float, default=200.0, help="seconds after which another interpreter is given up")
    add("--quick", action="store_true", help="tiny data, nothing saved")
    add("--keep", action="store_true", help="keep the saved rows of problems that are not run now")
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
            })  # fmt: skip
            print(f"  {gap:g} {contestant.name}: {median(taken):.4f} s, {graded}", flush=True)
    return rows


def run_draws(suite, contestants, options):
    """Rows of one problem after another, one for all its draws: a generator."""
    objective = suite.objective.get_instance()
    datasets = [d for d in suite.datasets(options.quick) if is_chosen(d.group, options.dataset)]
    for group in dict.fromkeys(dataset.group for dataset in datasets):
        print(group, flush=True)
        draws = [dataset for dataset in datasets if dataset.group == group]
        draws = draws[: 1 if draws[0].n_features >= LARGE else options.draws]
        yield from merged([run_cell(dataset, objective, contestants, options) for dataset in draws])


def merged(draws):
    """Rows of several draws in one each: medians of seconds and nodes, the worst of all else, and how many times ours a solver takes."""
    ours = [
        {row["asked"]: row["seconds"] for row in reversed(rows) if row["solver"].startswith("sparseopt")}
        for rows in draws
    ]
    table = []
    for asked, name in dict.fromkeys((row["asked"], row["solver"]) for rows in draws for row in rows):
        found = [(row, own) for rows, own in zip(draws, ours, strict=True) for row in rows]
        found = [(row, own.get(asked)) for row, own in found if (row["asked"], row["solver"]) == (asked, name)]
        rows = [row for row, _ in found]
        times_ours = [row["seconds"] / own for row, own in found if own]
        table.append(rows[0] | {
            "seconds": median(row["seconds"] for row in rows), "most": max(row["seconds"] for row in rows),
            "times ours": median(times_ours) if times_ours else float("nan"), "draws": len(rows),
            "value": max(row["value"] for row in rows), "gap": max(row["gap"] for row in rows),
            "nodes": int(median(row["nodes"] for row in rows)), "commit": commit(),
        })  # fmt: skip
    return table


def with_kept(name, title, rows, options):
    """The rows with those of other problems that are saved, in so far as these are to be kept."""
    return rows + kept_rows(name, title, rows, options.out or RESULTS) if options.keep and rows else rows


def main(arguments=None):
    """Measure, print and save."""
    suite = Suite("subset_exact")
    options = options_of(suite, arguments)
    warnings.simplefilter("ignore")
    hosts, contestants = chosen(suite, options)
    rows = []
    try:
        # those that are there are kept where a later one fails
        rows.extend(run_draws(suite, contestants, options))
    finally:
        tables = {"exact": with_kept("subset_exact", "exact", rows, options)}
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
