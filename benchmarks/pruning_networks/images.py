"""Images with labels, and networks of no biases that tell them apart."""

import gzip
import itertools
import struct
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from sklearn.datasets import load_digits
from sparseopt.pruning import Adam, Labels, Link, NumpyMLP


@dataclass(frozen=True, eq=False)
class Images:
    """Training and test images, one a row, in single precision, and their classes."""

    X: np.ndarray
    y: np.ndarray
    X_test: np.ndarray
    y_test: np.ndarray
    hidden: tuple[int, ...]

    @classmethod
    def digits(cls):
        """The digits that come with scikit-learn, 8 x 8: every third is for the test."""
        X, y = load_digits(return_X_y=True)
        X = (X / 16).astype(np.float32)
        test = np.arange(len(X)) % 3 == 0
        return cls(X[~test], y[~test], X[test], y[test], (32, 16))

    @classmethod
    def of_folder(cls, folder):
        """MNIST or a set of its form: four IDX files, packed by gzip or not.

        Pixels have mean 0 and deviation 1 over the training images; of MNIST with the rounded numbers that its
        published networks were trained with.
        """
        X, y, X_test, y_test = (
            _read(Path(folder), f"{part}-{kind}-ubyte")
            for part in ("train", "t10k")
            for kind in ("images-idx3", "labels-idx1")
        )
        mean, deviation = np.float32(X.mean(dtype=np.float64)), np.float32(X.std(dtype=np.float64))
        if abs(mean - 0.1307) < 1e-4 and abs(deviation - 0.3081) < 1e-4:
            mean, deviation = np.float32(0.1307), np.float32(0.3081)
        return cls((X - mean) / deviation, y, (X_test - mean) / deviation, y_test, (40, 20))

    def accuracy(self, network) -> float:
        """Percent of the test images that a network tells."""
        return 100 * float(np.mean(network.outputs(self.X_test).argmax(axis=1) == self.y_test))

    def trained(self, seed, epochs=8) -> NumpyMLP:
        """A network fitted to all training images by Adam with a cosine, until little changes any more."""
        rng = np.random.default_rng(seed)
        sizes = (self.X.shape[1], *self.hidden, int(self.y.max()) + 1)
        weights = [
            rng.uniform(-1, 1, (before, after)).astype(np.float32) / np.sqrt(np.float32(before))
            for before, after in itertools.pairwise(sizes)
        ]
        network = NumpyMLP(weights, link=Link.SOFTMAX)
        kept = [np.ones(weight.shape, bool) for weight in weights]
        few = len(self.X) < 10_000
        adam = Adam(epochs=60 if few else epochs, batch_size=32 if few else 128)
        return adam.fit(network, kept, self.X, Labels.of(Link.SOFTMAX, self.y), rng=rng)

    def trained_by_torch(self, seed, epochs=8) -> NumpyMLP:
        """The same network by PyTorch and its own Adam, as those who do without us would train it."""
        import torch
        from torch import nn
        from torch.nn.functional import cross_entropy

        torch.manual_seed(seed)
        sizes, batch = (self.X.shape[1], *self.hidden, int(self.y.max()) + 1), 128
        layers = [nn.Linear(before, after, bias=False) for before, after in itertools.pairwise(sizes)]
        model = nn.Sequential(*(part for layer in layers for part in (layer, nn.ReLU())))[:-1]
        adam, steps = torch.optim.Adam(model.parameters(), lr=1e-3), len(self.X) // batch
        cosine = torch.optim.lr_scheduler.CosineAnnealingLR(adam, epochs * steps)
        X, y = torch.from_numpy(self.X), torch.from_numpy(self.y)
        for _ in range(epochs):
            order = torch.randperm(len(X))
            for rows in order[: steps * batch].split(batch):
                adam.zero_grad()
                cross_entropy(model(X[rows]), y[rows]).backward()
                adam.step()
                cosine.step()
        return NumpyMLP([layer.weight.detach().numpy().T.copy() for layer in layers], link=Link.SOFTMAX)


def published(file) -> NumpyMLP:
    """A network stored as fc1, fc2 ... of shape (outputs, inputs)."""
    with np.load(file) as arrays:
        return NumpyMLP([arrays[name].T for name in sorted(arrays.files)], link=Link.SOFTMAX)


def _read(folder, name):
    file = folder / name
    raw = file.read_bytes() if file.exists() else gzip.decompress((folder / f"{name}.gz").read_bytes())
    dimensions = raw[3]
    sizes = struct.unpack(f">{dimensions}I", raw[4 : 4 + 4 * dimensions])
    values = np.frombuffer(raw, np.uint8, offset=4 + 4 * dimensions).reshape(sizes)
    if dimensions == 1:
        return values.astype(np.int64)
    return values.reshape(sizes[0], -1).astype(np.float32) / 255
