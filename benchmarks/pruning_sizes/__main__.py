"""From which sparsity on a network with sparse matrices is faster than with dense ones, and by how much smaller.

    python -m benchmarks.pruning_sizes [--rounds N] [--network FILE]

Random masks, which are the hardest: each input is read by some neuron. Both sides are plain products and ReLU in
NumPy and SciPy and take turns; of the times the fastest is taken. With a network of your own, an .npz file of
matrices of shape (inputs, outputs) in order, also masks by magnitude, which leave inputs and neurons unread.
"""

import argparse
import itertools

import numpy as np
from sparseopt import prune
from sparseopt.pruning import Magnitude, NumpyMLP, SparseNetwork, shrink

from benchmarks.measure import cpu_seconds, race
from benchmarks.report import markdown, save

SIZES = ((64, 64, 32, 10), (784, 40, 20, 10), (784, 300, 100, 10), (384, 1536, 384), (1024, 1024, 1024))
SPARSITIES = (0.5, 0.7, 0.8, 0.85, 0.9, 0.95, 0.98)
SAMPLES = (1, 64, 2048)


def random_network(sizes, sparsity, dtype):
    """Normal weights, of which this part is zero."""
    rng = np.random.default_rng(0)
    shapes = itertools.pairwise(sizes)
    weights = [rng.standard_normal(shape) * (rng.random(shape) >= sparsity) for shape in shapes]
    return NumpyMLP([weight.astype(dtype) for weight in weights])


def row(label, network, samples, rounds):
    """Dense against sparse for so many samples."""
    dtype = network.weights[0].dtype
    X = np.random.default_rng(1).standard_normal((samples, network.weights[0].shape[0])).astype(dtype)
    sparse = SparseNetwork.of(network)
    calls = {"dense": network.native(), "sparse": sparse.unchecked, "shrunk": shrink(network).native()}
    # Long beside the clock's microseconds.
    start = cpu_seconds(lambda: calls["dense"](X))
    repeats = max(1, int(1e-3 / max(start, 1e-6)))

    def repeated(call):
        return lambda: [call(X) for _ in range(repeats)]

    times = race({name: repeated(call) for name, call in calls.items()}, rounds)
    fastest = {name: min(values) / repeats for name, values in times.items()}
    total = sum(weight.nbytes for weight in network.weights)
    return label | {
        "type": dtype.name,
        "samples": samples,
        "dense us": 1e6 * fastest["dense"],
        "sparse us": 1e6 * fastest["sparse"],
        "sparse times as fast": fastest["dense"] / fastest["sparse"],
        "shrunk times as fast": fastest["dense"] / fastest["shrunk"],
        "bytes dense over sparse": total / sparse.nbytes,
    }


def crossovers(rows):
    """Least measured sparsity from which on the sparse network is never slower, for each network and batch."""
    found = []
    for key, group in itertools.groupby(rows, key=lambda r: (r["network"], r["type"], r["samples"])):
        faster = [(r["sparsity"], r["sparse times as fast"] > 1) for r in group]
        level = None
        for sparsity, is_faster in sorted(faster, reverse=True):
            if not is_faster:
                break
            level = sparsity
        found.append(dict(zip(("network", "type", "samples"), key, strict=True)) | {"faster from": level})
    return found


def main():
    """Measure, print and save."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.pruning_sizes", description="Sparse against dense.")
    parser.add_argument("--rounds", type=int, default=15, help="runs of each (default 15)")
    parser.add_argument(
        "--network", help="an .npz file of matrices, pruned by magnitude; only this one, nothing is saved"
    )
    options = parser.parse_args()
    rows = []
    levels = [
        (dtype, samples, sparsity)
        for dtype in (np.float32, np.float64)
        for samples in SAMPLES
        for sparsity in SPARSITIES
    ]
    if options.network:
        stored = np.load(options.network)
        dense = [stored[name] for name in stored.files]
        X = np.ones((1, len(dense[0])))
        for dtype, samples, sparsity in levels:
            weights = [weight.astype(dtype) for weight in dense]
            network = prune(weights, X.astype(dtype), sparsity=sparsity, method=Magnitude()).model
            rows.append(row({"network": options.network, "sparsity": sparsity}, network, samples, options.rounds))
            print(markdown(rows[-1:]).splitlines()[-1], flush=True)
        print(markdown(crossovers(rows)))
        return
    for sizes in SIZES:
        for dtype, samples, sparsity in levels:
            label = {"network": "-".join(map(str, sizes)), "sparsity": sparsity}
            rows.append(row(label, random_network(sizes, sparsity, dtype), samples, options.rounds))
            print(markdown(rows[-1:]).splitlines()[-1], flush=True)
    print(markdown(crossovers(rows)))
    save("pruning_sizes", {"crossover": crossovers(rows), "times": rows}, unread=("times",))


if __name__ == "__main__":
    main()
