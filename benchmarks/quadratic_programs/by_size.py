"""Our seconds over a peer's by the number of variables, from the saved runs of this benchmark.

``python -m benchmarks.quadratic_programs.by_size [--name quadratic_programs-maros_dense] [--pair ours_dense piqp_dense]``
"""

import argparse
import csv

from benchmarks.quadratic_programs.__main__ import ratio
from benchmarks.report import RESULTS, markdown

SIZES = ((1, 50), (51, 299), (300, 10**9))


def main():
    """Read, average and print."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.quadratic_programs.by_size", description=__doc__.split("\n")[0]
    )
    parser.add_argument("--name", default="quadratic_programs-maros_dense", help="name of the results")
    parser.add_argument("--pair", nargs=2, default=["ours_dense", "piqp_dense"], help="ours, and a peer")
    options = parser.parse_args()
    with (RESULTS / f"{options.name}-runs.csv").open(encoding="utf-8") as file:
        runs = [run for run in csv.DictReader(file) if run["CPU s"]]
    rows = [run | {"solved": run["solved"] == "True", "CPU s": float(run["CPU s"])} for run in runs]
    table = []
    for eps in dict.fromkeys(row["eps"] for row in rows):
        for least, most in SIZES:
            some = [row for row in rows if least <= float(row["n"]) <= most]
            shown = f"{least} to {most}" if most < SIZES[-1][1] else f"from {least}"
            table.append({"eps": eps, "variables": shown, " / ".join(options.pair): ratio(some, eps, *options.pair)})
    print(markdown(table))


if __name__ == "__main__":
    main()
