"""Accuracy of pruned networks against sparsity, method by method.

``python -m benchmarks.pruning_networks`` trains small networks on the digits of scikit-learn; ``--data FOLDER`` takes the
four IDX files of MNIST, or of a set of its form, and ``--network FILE`` a trained network in place of our own.
Accuracies are on the test images, means over seeds (the draw of the calibration images, and of the network where it is
ours); seconds are CPU seconds of one thread, the mean over sparsities.
"""

import argparse
import json
import time

import numpy as np
from sparseopt.pruning import prune

from benchmarks.report import RESULTS, markdown, save

from .images import Images, published
from .rows import ALL, LABELLED, ROWS

SPARSITIES = (0.5, 0.8, 0.9, 0.95, 0.98)


def main(arguments=None):
    """Prune, print and save."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.pruning_networks", description=__doc__)
    parser.add_argument("--data", help="folder of four IDX files")
    parser.add_argument("--network", help=".npz file of matrices fc1, fc2 ... of shape (outputs, inputs)")
    parser.add_argument(
        "--torch", action="store_true", help="networks that PyTorch has trained, in place of our own training"
    )
    parser.add_argument("--seeds", type=int, nargs="*", default=[0, 1, 2])
    parser.add_argument("--sparsity", type=float, nargs="*", default=SPARSITIES)
    parser.add_argument("--samples", type=int, default=5000, help="calibration images")
    parser.add_argument("--method", nargs="*", choices=[row.name for row in ROWS], help="these methods only")
    parser.add_argument("--all", action="store_true", help="also those that train on all labelled images")
    parser.add_argument("--against", choices=[row.name for row in ROWS], help="gains over this method, seed by seed")
    parser.add_argument("--name", help="save the tables under this name in benchmarks/results")
    parser.add_argument(
        "--keep", action="store_true", help="the saved runs of other methods, sparsities and seeds stay"
    )
    options = parser.parse_args(arguments)
    images = Images.digits() if options.data is None else Images.of_folder(options.data)
    rows = [row for row in ROWS if (row.name in options.method if options.method else options.all or not row.slow)]
    runs = saved_runs(options.name) if options.keep else {}
    for found in measured(images, rows, options):
        runs |= found
        if options.name:
            save(options.name, tables(runs, options.against), unread=("runs",))
    for title, table in tables(runs, options.against).items():
        if title != "runs":
            print(f"\n## {title}\n\n{markdown(table)}")


def measured(images, rows, options):
    """Runs by (method, sparsity, seed), as they are done; that of sparsity 0 is the dense network."""
    for seed in options.seeds:
        network = network_of(images, options, seed)
        yield {("dense", 0.0, seed): (images.accuracy(network), 0.0)}
        some = np.random.default_rng(seed).permutation(len(images.X))[: options.samples]
        for row in rows:
            found = {(row.name, s, seed): run(images, network, some, row, s, seed) for s in options.sparsity}
            yield found
            shown = " ".join(f"{accuracy:6.2f}" for accuracy, _ in found.values())
            spent = np.mean([seconds for _, seconds in found.values()])
            print(f"seed {seed} {row.name:40s} {shown}  {spent:.2f} s", flush=True)


def network_of(images, options, seed):
    """The network that is pruned: a stored one, or one for each seed."""
    if options.network is not None:
        return published(options.network)
    return images.trained_by_torch(seed) if options.torch else images.trained(seed)


def saved_runs(name):
    """Runs that a file has."""
    file = RESULTS / f"{name}.json"
    rows = json.loads(file.read_text())["tables"]["runs"] if file.exists() else []
    return {(row["method"], row["sparsity"], row["seed"]): (row["accuracy"], row["CPU s"]) for row in rows}


def tables(runs, against=None):
    """Means and standard deviations, gains over one method if asked, and the runs themselves."""
    names = [name for name in ("dense", *(row.name for row in ROWS)) if any(key[0] == name for key in runs)]
    sparsities = sorted({s for name, s, _ in runs if name != "dense"})
    seeds = sorted({seed for _, _, seed in runs})
    sees, means, gains = {row.name: row.sees for row in ROWS}, [], []
    for name in names:
        of = {
            s: [runs[key][0] for key in ((name, s, seed) for seed in seeds) if key in runs] for s in (0.0, *sparsities)
        }
        cells = {f"{s:g}": cell(of[0.0] or of[s]) for s in sparsities}
        spent = [seconds for (method, _, _), (_, seconds) in runs.items() if method == name != "dense"]
        means.append(
            {"method": name, "sees": sees.get(name, ""), **cells, "CPU s": float(np.mean(spent)) if spent else None}
        )
        if against and name not in {"dense", against}:
            gains.append(
                {"method": name, "over": against, **{f"{s:g}": gain(runs, name, against, s) for s in sparsities}}
            )
    found = {"Accuracy and sparsity": means}
    if gains:
        found["gains"] = gains
    columns = ("method", "sparsity", "seed", "accuracy", "CPU s")
    return found | {"runs": [dict(zip(columns, (*key, *values), strict=True)) for key, values in sorted(runs.items())]}


def gain(runs, name, against, sparsity):
    """Mean difference over the seeds that both were run with, its standard error and their number."""
    seeds = [seed for method, s, seed in runs if (method, s) == (name, sparsity) and (against, s, seed) in runs]
    if len(seeds) < 2:
        return ""
    gaps = [runs[name, sparsity, seed][0] - runs[against, sparsity, seed][0] for seed in seeds]
    return f"{np.mean(gaps):+.2f} ± {np.std(gaps, ddof=1) / len(gaps) ** 0.5:.2f} ({len(gaps)} seeds)"


def run(images, network, some, row, sparsity, seed):
    """Test accuracy of one pruned network, and CPU seconds."""
    X, y = (images.X, images.y) if row.sees == ALL else (images.X[some], images.y[some])
    start = time.process_time()
    pruned = prune(
        network, X, y if row.sees in {LABELLED, ALL} else None, sparsity=sparsity, random_state=seed, **row.options
    )
    spent = time.process_time() - start
    assert sum(np.count_nonzero(weight) for weight in pruned.model.weights) <= pruned.mask.kept
    return images.accuracy(pruned.model), spent


def cell(values):
    """Mean and standard deviation."""
    return "" if not values else f"{np.mean(values):.2f} ± {np.std(values):.2f}"


if __name__ == "__main__":
    main()
