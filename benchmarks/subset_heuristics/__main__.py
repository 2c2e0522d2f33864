"""Heuristics for the best k features: `python -m benchmarks.subset_heuristics --help`."""

import argparse
import warnings
from pathlib import Path
from statistics import mean, median

import numpy as np

from benchmarks.contestants import chosen, entered, is_chosen
from benchmarks.measure import race
from benchmarks.report import PACKAGES, RESULTS, commit, markdown, save
from benchmarks.suite import Suite

# Of the squares of y: a support that is no further above the best is the best.
SAME = 1e-9
# Features that are chosen in the files of a folder.
SIZES = (5, 10)


class FileData:
    """A file of a folder, with a number of features to choose."""

    def __init__(self, file, k):
        self.file, self.k, self.group = file, k, f"{file.stem}, k {k}"

    def __repr__(self):
        return self.group

    def get_data(self):
        """Standardised columns and a centred target."""
        from benchmarks.data import stored

        found = stored(self.file)
        y = found["y"] - found["y"].mean()
        return {"X": np.asfortranarray(found["X"]), "y": y / np.abs(y).max(), "k": self.k}


def options_of(suite, arguments):
    """The command line."""
    parser = argparse.ArgumentParser(prog=f"python -m benchmarks.{suite.name}", description=suite.objective.__doc__)
    add = parser.add_argument
    add("--dataset", nargs="*", default=[""], metavar="TEXT", help="groups of cells whose name contains one of these")
    add("--solver", nargs="*", default=[""], metavar="TEXT", help="solvers whose name contains one of these")
    add("--all", action="store_true", help="also our other methods by name, and peers that are slower by far")
    add("--data", metavar="FOLDER", help="the .npz files of a folder, in place of the suite's datasets")
    add("--name", default=suite.name, help="name of the results (default the suite's)")
    add("--other-python", metavar="PATH", help="interpreter for the peers that cannot be installed beside us")
    add("--repeats", type=int, default=3, help="runs of each solver on each cell (default 3)")
    add("--patience", type=float, default=60.0, help="seconds after which another interpreter is given up")
    add("--quick", action="store_true", help="tiny data, nothing saved")
    add("--out", type=Path, help="directory of the results (default benchmarks/results)")
    return parser.parse_args(arguments)


def run_cell(dataset, objective, contestants, options):
    """A row for each solver on one cell; where it fails, the reason is printed."""
    data = dataset.get_data()
    objective.set_data(**data)
    takers = entered(contestants, objective.get_objective())
    runners = {contestant: lambda run=contestant.run: run(1e-6) for contestant in takers}
    times = race(runners, options.repeats, clock=lambda call, _: call())
    rows = []
    for contestant, taken in times.items():
        graded = objective.evaluate_result(**contestant.result())
        rows.append({
            "group": dataset.group, "cell": repr(dataset), "solver": contestant.name, "ms": 1e3 * median(taken), **graded,
        })  # fmt: skip
    lowest = min((row["value"] for row in rows), default=0.0)
    for row in rows:
        row["excess"] = row["value"] - lowest
    return rows


def summarised(cells):
    """Means over the cells of each group, for each solver."""
    found = []
    for group in dict.fromkeys(row["group"] for row in cells):
        rows = [row for row in cells if row["group"] == group]
        for solver in dict.fromkeys(row["solver"] for row in rows):
            own = [row for row in rows if row["solver"] == solver]
            found.append({
                "group": group, "solver": solver, "cells": len(own),
                "excess %": 100.0 * mean(row["excess"] for row in own),
                "best %": 100.0 * mean(row["excess"] <= SAME for row in own),
                "F1": mean(row["F1"] for row in own) if all("F1" in row for row in own) else None,
                "mean ms": mean(row["ms"] for row in own), "median ms": median(row["ms"] for row in own),
                "slowest ms": max(row["ms"] for row in own), "commit": commit(),
            })  # fmt: skip
    return found


def main(arguments=None):
    """Measure, print and save."""
    suite = Suite("subset_heuristics")
    options = options_of(suite, arguments)
    warnings.simplefilter("ignore")
    hosts, contestants = chosen(suite, options)
    files = sorted(Path(options.data).glob("*.npz")) if options.data else []
    datasets = [FileData(file, k) for file in files for k in SIZES] if options.data else suite.datasets(options.quick)
    objective, cells = suite.objective.get_instance(), []
    try:
        for dataset in (d for d in datasets if is_chosen(d.group, options.dataset)):
            print(repr(dataset), flush=True)
            cells += run_cell(dataset, objective, contestants, options)
    finally:
        tables = {"heuristics": summarised(cells), "cells": cells}
        for host in hosts[1:]:
            tables["versions elsewhere"] = [host.versions(PACKAGES)]
            host.close()
        if cells:
            print(markdown(tables["heuristics"]), flush=True)
        if cells and (options.out or not options.quick):
            tables["cells"] = [{name: row.get(name) for name in (*cells[0], "F1")} for row in cells]
            save(options.name, tables, options.out or RESULTS, unread=("cells",))
    return cells


if __name__ == "__main__":
    main()
