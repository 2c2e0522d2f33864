"""Samples and modules as users have them: any strides, any precision; what has no numbers is refused in words."""

import numpy as np
import pytest

import sparseopt as so
from sparseopt.pruning import FirstOrder

torch = pytest.importorskip("torch")

from torch import nn  # noqa: E402

from sparseopt.adapters.torch import TorchNetwork  # noqa: E402

RNG = np.random.default_rng(0)
X = RNG.standard_normal((60, 8)).astype(np.float32)
Y = RNG.integers(0, 3, 60)


def perceptron(precision=torch.float32):
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(8, 6), nn.ReLU(), nn.Linear(6, 3)).to(precision)


@pytest.mark.parametrize("turned", [X[::-1], X[:, ::-1][::-1], np.asfortranarray(X)], ids=["rows", "both", "columns"])
def test_samples_may_have_any_strides(turned):
    """torch knows no negative ones."""
    options = {"sparsity": 0.5, "method": FirstOrder()}
    network = TorchNetwork(perceptron(), link="softmax")
    found = so.prune(network, turned, Y, **options)
    assert found.mask == so.prune(network, np.array(turned, order="C"), Y, **options).mask


@pytest.mark.parametrize("precision", [torch.float64, torch.bfloat16, torch.float16])
def test_tensors_may_have_any_precision(precision):
    """numpy knows no bfloat16, and torch warns of arrays that cannot be written: warnings are errors here."""
    pruned = so.prune(perceptron(precision), torch.tensor(X).to(precision), sparsity=0.5)
    assert pruned.model[0].weight.dtype is precision
    assert pruned.mask.kept == 33


class Compiled(nn.Module):
    """As torch.compile makes it: the layers are there, and something else runs."""

    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(8, 3)

    def forward(self, x):
        return x @ self.layer.weight.T


@pytest.mark.parametrize(
    ("module", "samples", "sparsity", "kind", "words"),
    [
        (lambda: nn.Sequential(nn.Linear(8, 0), nn.Linear(0, 2)), X, 0.5, ValueError, "layer '0' has no weights"),
        (lambda: perceptron().to("meta"), X, 0.5, ValueError, "0.weight has no data"),
        (Compiled, X, 0.5, ValueError, "reaches none of its layers; give the module as it was"),
        (perceptron, None, 0.5, ValueError, "X is None"),
        (perceptron, X, {"0": 0.5}, TypeError, "sparsity is .*; give one number"),
        (perceptron, X, "half", TypeError, "sparsity is 'half'; give one number"),
    ],
    ids=["no outputs", "meta", "compiled", "no samples", "sparsities", "text"],
)
@pytest.mark.filterwarnings("ignore:Initializing zero-element tensors")
def test_what_cannot_be_pruned_is_refused_in_words(module, samples, sparsity, kind, words):
    with pytest.raises(kind, match=words):
        so.prune(module(), samples, sparsity=sparsity)
