"""Accuracy of pruned networks against sparsity, method by method.

``python -m benchmarks.pruning_networks`` trains small networks on the digits of scikit-learn; ``--data FOLDER`` takes the
four IDX files of MNIST, or of a set of its form, and ``--network FILE`` a trained network in place of our own.
Accuracies are on the test images, means over seeds (the draw of the calibration images, and of the network where it is
ours); seconds are CPU seconds of one thread, the mean over sparsities.
"""

import argparse
import time
from collections import defaultdict

import numpy as np
from sparseopt.pruning import prune

from benchmarks.report import markdown, save

from .images import Images, published
from .rows import ALL, LABELLED, ROWS

SPARSITIES = (0.5, 0.8, 0.9, 0.95, 0.98)


def main(arguments=None):
    """Prune, print and save."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.pruning_networks", description=__doc__)
    parser.add_argument("--data", help="folder of four IDX files")
    parser.add_argument("--network", help=".npz file of matrices fc1, fc2 ... of shape (outputs, inputs)")
    parser.add_argument("--seeds", type=int, nargs="*", default=[0, 1, 2])
    parser.add_argument("--sparsity", type=float, nargs="*", default=SPARSITIES)
    parser.add_argument("--samples", type=int, default=5000, help="calibration images")
    parser.add_argument("--method", nargs="*", choices=[row.name for row in ROWS], help="these methods only")
    parser.add_argument("--all", action="store_true", help="also those that train on all labelled images")
    parser.add_argument("--name", help="save the table under this name in benchmarks/results")
    options = parser.parse_args(arguments)
    images = Images.digits() if options.data is None else Images.of_folder(options.data)
    rows = [row for row in ROWS if (row.name in options.method if options.method else options.all or not row.slow)]
    table = measured(images, rows, options)
    print(markdown(table))
    if options.name:
        save(options.name, {"Accuracy and sparsity": table})


def measured(images, rows, options):
    """One line for each method, the dense network first."""
    accuracies, seconds = defaultdict(list), defaultdict(list)
    for seed in options.seeds:
        network = images.trained(seed) if options.network is None else published(options.network)
        accuracies["dense"].append(images.accuracy(network))
        some = np.random.default_rng(seed).permutation(len(images.X))[: options.samples]
        for row in rows:
            for sparsity in options.sparsity:
                accuracy, spent = run(images, network, some, row, sparsity, seed)
                accuracies[row.name, sparsity].append(accuracy)
                seconds[row.name].append(spent)
            shown = " ".join(f"{accuracies[row.name, sparsity][-1]:6.2f}" for sparsity in options.sparsity)
            print(f"seed {seed} {row.name:40s} {shown}  {seconds[row.name][-1]:.2f} s", flush=True)
    dense = cell(accuracies["dense"])
    table = [{"method": "dense", "sees": "", **{f"{s:g}": dense for s in options.sparsity}, "CPU s": None}]
    for row in rows:
        cells = {f"{s:g}": cell(accuracies[row.name, s]) for s in options.sparsity}
        table.append({"method": row.name, "sees": row.sees, **cells, "CPU s": float(np.mean(seconds[row.name]))})
    return table


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
    return f"{np.mean(values):.2f} ± {np.std(values):.2f}"


if __name__ == "__main__":
    main()
