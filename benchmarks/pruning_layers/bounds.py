"""How far the weights of small layers can be from the best: proven gaps, output by output.

    python -m benchmarks.pruning_layers.bounds [--network mnist_784_40_20_10.npz --images FOLDER] [--save]

Without a network, a 64-40-20-10 classifier of scikit-learn's digits. Layers of up to 64 inputs are bounded.
"""

from __future__ import annotations

import argparse
import gzip
import struct
import time
import warnings
from pathlib import Path

import numpy as np
from sparseopt.pruning import AlternatingDirections, LayerwiseL0, NumpyMLP, certify_layer, prune

from benchmarks.report import markdown, save

WIDEST = 64
SPARSITIES = (0.8, 0.9, 0.95, 0.98)
METHODS = {
    "LayerwiseL0, network": (LayerwiseL0(), "network"),
    "LayerwiseL0, layer": (LayerwiseL0(), "layer"),
    "LayerwiseL0 without coupling, network": (LayerwiseL0(coupling=0), "network"),
    "LayerwiseL0 without coupling, layer": (LayerwiseL0(coupling=0), "layer"),
    "AlternatingDirections, layer": (AlternatingDirections(threads=1), "layer"),
}


def main():
    """Prune, bound and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.pruning_layers.bounds", description="Proven gaps.")
    parser.add_argument("--network", type=Path, help="matrices of shape (outputs, inputs), first to last, in an .npz")
    parser.add_argument("--images", type=Path, help="folder with train-images-idx3-ubyte.gz")
    parser.add_argument("--seconds", type=float, default=60.0, help="for each layer")
    parser.add_argument("--sparsity", type=float, nargs="*", default=SPARSITIES)
    parser.add_argument("--save", action="store_true", help="write the tables to benchmarks/results")
    options = parser.parse_args()
    network, X = published(options.network, options.images) if options.network else digits()
    prune(*digits(), sparsity=0.9, method=AlternatingDirections(bound_seconds=60.0))  # compiles
    rows = []
    for sparsity in options.sparsity:
        for name, (method, scope) in METHODS.items():
            pruned = prune(network, X, sparsity=sparsity, method=method, scope=scope)
            rows += bounded(network, pruned, X, sparsity, name, options.seconds)
    tables = {"gaps": rows}
    print(markdown(rows))
    if options.save:
        save("pruning_layers-bounds", tables)


def bounded(network, pruned, X, sparsity, name, seconds):
    """Rows of one pruned network, a layer each."""
    old, new = network.layers(), pruned.model.layers()
    data = zip(old, new, network.inputs(X), pruned.model.inputs(X), strict=True)
    for layer, found, dense_inputs, inputs in data:
        if layer.weight.shape[0] > WIDEST:
            continue
        kept = found.weight != 0
        start = time.process_time()
        bound = certify_layer(found, kept, inputs, layer(dense_inputs), seconds=seconds)
        yield {
            "sparsity": sparsity,
            "method": name,
            "layer": f"{layer.weight.shape[0]} x {layer.weight.shape[1]}",
            "kept": int(kept.sum()),
            "error": bound.value / bound.energy,
            "gap": bound.gap,
            "largest gap of an output": float(bound.gaps.max()),
            "seconds": time.process_time() - start,
        }


def digits():
    """A classifier of scikit-learn's digits, and its samples."""
    from sklearn.datasets import load_digits
    from sklearn.neural_network import MLPClassifier

    X, y = load_digits(return_X_y=True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = MLPClassifier((40, 20), max_iter=100, random_state=0).fit(X / 16, y)
    return NumpyMLP(model.coefs_, model.intercepts_), X / 16


def published(network, images):
    """A network without biases on 5,000 images, scaled as it was trained."""
    with np.load(network) as arrays:
        weights = [arrays[name].T for name in sorted(arrays)]
    data = gzip.decompress((images / "train-images-idx3-ubyte.gz").read_bytes())
    _, count, height, width = struct.unpack(">4I", data[:16])
    X = np.frombuffer(data, np.uint8, offset=16).reshape(count, height * width)
    X = X[np.random.default_rng(0).permutation(count)[:5000]].astype(np.float32)
    return NumpyMLP(weights), (X / 255 - np.float32(0.1307)) / np.float32(0.3081)


if __name__ == "__main__":
    main()
