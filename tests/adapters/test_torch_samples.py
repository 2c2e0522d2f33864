"""Samples and modules as users have them: any strides, any precision; what has no numbers is refused in words."""

import numpy as np
import pytest

import sparseopt as so
from sparseopt.pruning import FirstOrder, Iterations, Linear

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
        (
            lambda: nn.DataParallel(perceptron()),
            X,
            0.5,
            TypeError,
            "DataParallel runs copies .* give that itself, .module",
        ),
        (perceptron, None, 0.5, ValueError, "X is None"),
        (perceptron, X, {"0": 0.5}, TypeError, "sparsity is .*; give one number"),
        (perceptron, X, "half", TypeError, "sparsity is 'half'; give one number"),
    ],
    ids=["no outputs", "meta", "compiled", "copies", "no samples", "sparsities", "text"],
)
@pytest.mark.filterwarnings("ignore:Initializing zero-element tensors")
def test_what_cannot_be_pruned_is_refused_in_words(module, samples, sparsity, kind, words):
    with pytest.raises(kind, match=words):
        so.prune(module(), samples, sparsity=sparsity)


class Tied(nn.Module):
    """Two layers with one bias."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.first, self.second, self.last = nn.Linear(8, 8), nn.Linear(8, 8), nn.Linear(8, 3)
        self.second.bias = self.first.bias

    def forward(self, x):
        return self.last(self.second(torch.relu(self.first(x))))


def test_layers_that_share_a_bias_are_named_and_left():
    """The fit of one would change the other."""
    module = Tied()
    with pytest.warns(UserWarning, match="first.weight .Linear, its bias is shared with another part."):
        pruned = so.prune(module, X, sparsity=0.5)
    assert list(pruned.mask) == ["last"]
    assert pruned.model.first.bias is pruned.model.second.bias
    assert torch.equal(pruned.model.second.weight, module.second.weight)


@pytest.mark.parametrize("context", [torch.no_grad, torch.inference_mode])
def test_a_caller_may_have_turned_slopes_off(context):
    def made():
        torch.manual_seed(0)
        return nn.Sequential(nn.Linear(8, 6), nn.BatchNorm1d(6), nn.ReLU(), nn.Linear(6, 3))

    module = made()
    with context():
        inside = made()
        pruned = so.prune(module, X, sparsity=0.5)
        assert not torch.is_grad_enabled()
    assert pruned.mask == so.prune(module, X, sparsity=0.5).mask
    for other in (pruned, so.prune(inside, X, sparsity=0.5)):
        other.model.train()(torch.tensor(X)).sum().backward()


@pytest.mark.parametrize(
    "options",
    [{"only": ("0",)}, {"link": "softmax"}, {"prepare": lambda batch: torch.tensor(batch[:, ::-1].copy())}],
    ids=lambda options: next(iter(options)),
)
def test_a_run_of_a_network_goes_on_as_it_was_said_to_be_read(options):
    network = TorchNetwork(perceptron(), **options)
    run = {"sparsity": 0.8, "schedule": Linear(3)}
    whole, half = so.prune(network, X, **run), so.prune(network, X, stop=Iterations(1), **run)
    rest = so.prune(network, X, resume=half, **run)
    assert rest.mask == whole.mask
    assert all(torch.equal(a, b) for a, b in zip(rest.model.parameters(), whole.model.parameters(), strict=True))
    assert network.reading(half.model).link is network.link
