"""Four sparsities of one network from one pass: accuracy of each, and CPU seconds of all.

``python -m benchmarks.pruning_networks.path --data FOLDER --network FILE`` takes MNIST's four IDX files and a trained
network, as ``benchmarks.pruning_networks`` does; without them, the digits of scikit-learn. Each draw of the calibration
images is a run; compiling is not counted.
"""

import argparse
import time

import numpy as np
from sparseopt.pruning import prune_path

from benchmarks.report import markdown, save

from .images import Images, published

SPARSITIES = (0.8, 0.9, 0.95, 0.98)


def main(arguments=None):
    """Prune along the path, print and save."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.pruning_networks.path", description=__doc__)
    parser.add_argument("--data", help="folder of four IDX files")
    parser.add_argument("--network", help=".npz file of matrices fc1, fc2 ... of shape (outputs, inputs)")
    parser.add_argument("--seeds", type=int, nargs="*", default=[0, 1, 2])
    parser.add_argument("--sparsity", type=float, nargs="*", default=SPARSITIES)
    parser.add_argument("--samples", type=int, default=5000, help="calibration images")
    parser.add_argument("--name", help="save the table under this name in benchmarks/results")
    options = parser.parse_args(arguments)
    images = Images.digits() if options.data is None else Images.of_folder(options.data)
    network = images.trained(0) if options.network is None else published(options.network)
    prune_path(network, images.X[:200], sparsities=options.sparsity)
    rows = [one(images, network, seed, options) for seed in options.seeds]
    print(markdown(rows))
    if options.name:
        save(options.name, {"sparsities from one pass": rows})


def one(images, network, seed, options):
    """Accuracies and seconds of one draw of the calibration images."""
    some = np.random.default_rng(seed).permutation(len(images.X))[: options.samples]
    start = time.process_time()
    found = prune_path(network, images.X[some], sparsities=options.sparsity, random_state=seed)
    spent = time.process_time() - start
    accuracies = {f"{s:g}": images.accuracy(pruned.model) for s, pruned in zip(options.sparsity, found, strict=True)}
    return {"draw": seed, "dense": images.accuracy(network), **accuracies, "CPU s of all": spent}


if __name__ == "__main__":
    main()
