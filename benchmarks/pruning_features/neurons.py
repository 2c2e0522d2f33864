"""Which k neurons of a hidden layer are worth keeping: accuracy without and with a refit of the layer that reads them."""

import gzip
import time

import numpy as np

SEEDS = 3
SAMPLES = 5000


def network_and_data(network=None, images=None):
    """A network, its calibration samples with labels, and its test samples: digits, or a file and a folder of images."""
    from sparseopt.pruning import NumpyMLP

    if network is None:
        return _digits()
    with np.load(network) as stored:
        weights = [np.asarray(stored[name]).T for name in sorted(stored.files)]
    parts = [(_images(images, part), _labels(images, part)) for part in ("train", "t10k")]
    return NumpyMLP(weights, link="softmax"), *parts


def _digits():
    from sklearn.datasets import load_digits
    from sklearn.neural_network import MLPClassifier
    from sparseopt.pruning import NumpyMLP

    X, y = load_digits(return_X_y=True)
    X = X / 16
    fitted = MLPClassifier((40, 20), max_iter=200, tol=1e-3, random_state=0).fit(X[:1200], y[:1200])
    network = NumpyMLP(fitted.coefs_, fitted.intercepts_, link="softmax")
    return network, (X[:1200], y[:1200]), (X[1200:], y[1200:])


def _images(folder, part):
    with gzip.open(folder / f"{part}-images-idx3-ubyte.gz") as file:
        pixels = np.frombuffer(file.read(), np.uint8, offset=16).reshape(-1, 784)
    return ((pixels / 255 - 0.1307) / 0.3081).astype(np.float32)


def _labels(folder, part):
    with gzip.open(folder / f"{part}-labels-idx1-ubyte.gz") as file:
        return np.frombuffer(file.read(), np.uint8, offset=8)


def neurons(network=None, images=None, limit=60.0, told=print):
    """Tables of the accuracy of each method, in percent, and of proofs."""
    from sparseopt import pruning

    dense, (X, y), (X_test, y_test) = network_and_data(network, images)
    methods = [
        pruning.RandomNeurons(), pruning.IncomingNorm(), pruning.OutgoingNorm(), pruning.Contribution(),
        pruning.ActivationSparsity(), pruning.ActivationVariance(), pruning.ActivationEntropy(), pruning.GroupSelection(),
    ]  # fmt: skip

    def accuracy(model):
        return 100 * float(np.mean(model.outputs(X_test).argmax(axis=1) == y_test))

    rows, proofs = [], []
    for layer, weight in enumerate(dense.weights[:-1]):
        size = weight.shape[1]
        for k in (k for k in (30, 20, 15, 10, 7) if 0.25 * size <= k < size):
            row = {"layer": layer + 1, "neurons": size, "k": k, "dense": accuracy(dense)}
            for method in methods:
                both = np.array([
                    [
                        accuracy(pruning.prune_neurons(
                            dense, X[rows], y[rows], keep={f"weights_{layer}": k}, method=method, refit=refit,
                            random_state=seed,
                        ).model)
                        for refit in (False, True)
                    ]
                    for seed, rows in enumerate(_calibration(len(X)))
                ]).mean(axis=0)  # fmt: skip
                name = type(method).__name__
                row |= {f"{name}": float(both[0]), f"{name}, refitted": float(both[1])}
            rows.append(row)
            told(row)
            proofs.append(_proof(dense, X[next(_calibration(len(X)))], layer, k, limit))
            told(proofs[-1])
    return {"neurons": rows, "proofs of neurons": proofs}


def _calibration(size):
    for seed in range(SEEDS):
        yield np.random.default_rng(seed).permutation(size)[:SAMPLES]


def _proof(dense, X, layer, k, limit):
    from sparseopt.pruning import GroupSelection, prune_neurons

    start, name = time.process_time(), f"weights_{layer}"
    found = prune_neurons(dense, X, keep={name: k}, method=GroupSelection(proof_time=limit))
    seconds = time.process_time() - start
    gap = found.certificates[name].relative_gap
    return {"layer": layer + 1, "neurons": found.layers[0].total, "k": k, "relative gap": gap, "seconds": seconds}
