"""What users of PyTorch hand over: graphs, pieces, weights that are computed, optimizers that evaluate the loss themselves."""

import numpy as np
import pytest

import sparseopt as so
from sparseopt.pruning import SGD, FirstOrder

torch = pytest.importorskip("torch")

from torch import nn  # noqa: E402
from torch.nn.utils import parametrizations, prune, spectral_norm  # noqa: E402
from torch.utils.data import Dataset, TensorDataset  # noqa: E402

from sparseopt.adapters.torch import TorchNetwork  # noqa: E402

X = torch.randn(60, 8, generator=torch.Generator().manual_seed(0))
Y = X[:, :3] * torch.tensor([1.0, -2.0, 0.5])


def perceptron():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(8, 6), nn.ReLU(), nn.Linear(6, 3))


@pytest.mark.parametrize(
    "lent", [lambda y: y.clone().requires_grad_() * 1, lambda y: y.bfloat16()], ids=["graph", "bf16"]
)
def test_targets_may_be_part_of_a_graph_or_of_a_precision_that_numpy_does_not_know(lent):
    found = so.prune(perceptron(), X, lent(Y), sparsity=0.5, method=FirstOrder(), validation=(lent(X), lent(Y)))
    exact = so.prune(perceptron(), X, Y, sparsity=0.5, method=FirstOrder())
    assert found.mask == exact.mask
    assert found.quality == pytest.approx(exact.quality, abs=0.02)


class Pairs(Dataset):
    def __len__(self):
        return 60

    def __getitem__(self, i):
        return X[i], Y[i]


@pytest.mark.parametrize(
    ("samples", "words"),
    [
        (TensorDataset(X, Y), "TensorDataset, which gives its samples piece by piece"),
        (Pairs(), "Pairs, which gives its samples piece by piece"),
        (X.to_sparse(), "X is a sparse tensor"),
        (torch.nested.nested_tensor([X[:3], X[:5]], layout=torch.jagged), "X is a nested tensor"),
    ],
    ids=["tensors", "pairs", "sparse", "nested"],
)
def test_samples_that_are_no_array_are_refused_in_words(samples, words):
    with pytest.raises(TypeError, match=words):
        so.prune(perceptron(), samples, sparsity=0.5)


def test_validation_as_a_list_is_told_to_be_a_tuple():
    with pytest.raises(TypeError, match=r"validation is a list of two; give a tuple \(X, y\)"):
        so.prune(perceptron(), X, sparsity=0.5, validation=[X, Y])


@pytest.mark.parametrize(
    ("module", "samples"),
    [
        (nn.Sequential(nn.Linear(8, 6), nn.BatchNorm1d(6)), X[0]),
        (nn.Sequential(nn.Embedding(9, 8), nn.Flatten(), nn.Linear(16, 3)), torch.ones(5, 2, dtype=torch.long)),
    ],
    ids=["one axis", "places"],
)
@pytest.mark.filterwarnings("ignore:pruning leaves")
def test_samples_that_a_module_does_not_take_say_how_to_prepare_them(module, samples):
    with pytest.raises(ValueError, match=r"Sequential does not take samples of shape.*TorchNetwork\(module, prepare="):
        so.prune(module, samples, sparsity=0.5)
    with pytest.raises(ValueError, match="see what `prepare` makes"):
        TorchNetwork(module, prepare=lambda batch: torch.tensor(batch, dtype=torch.bool)).outputs(samples)


def test_a_spectral_norm_of_the_old_kind_is_named_and_stays():
    """It keeps a weight_orig, as masks of torch.nn.utils.prune do, and is none."""
    module = perceptron()
    spectral_norm(module[2])
    network = TorchNetwork(module.eval())
    assert network.only == ("0",)
    assert "2.weight_orig (Linear)" in network.left_out
    with pytest.warns(UserWarning, match="2.weight_orig"):
        pruned = so.prune(module, X, sparsity=0.5)
    assert pruned.mask.kept == 24
    torch.testing.assert_close(TorchNetwork(module).outputs(X), module(X).detach().numpy())


@pytest.mark.parametrize(
    "compute",
    [parametrizations.weight_norm, lambda part: prune.l1_unstructured(part, "weight", 0.5)],
    ids=["weight_norm", "prune"],
)
def test_weights_that_are_computed_are_not_changed_in_place(compute):
    """Told before the work, and not by load_state_dict after it."""
    module = perceptron()
    compute(module[2])
    with pytest.raises(ValueError, match=r"cannot be changed in place: '2\..*make it plain first"):
        so.prune(module, X, sparsity=0.5, inplace=True)
    assert type(so.prune(module, X, sparsity=0.5).model[2]) is nn.Linear


def test_a_loss_that_an_optimizer_evaluates_itself_has_no_slopes_where_the_mask_drops():
    """L-BFGS evaluates it several times in a step; slopes of dropped weights would lead its lines astray."""
    module, kept = nn.Linear(8, 3), np.random.default_rng(0).random((3, 8)) > 0.5
    torch.manual_seed(1)
    noisy = Y + torch.randn(Y.shape)
    optimizer = torch.optim.LBFGS(module.parameters(), max_iter=30, line_search_fn="strong_wolfe", tolerance_grad=1e-9)
    seen = []

    def loss():
        optimizer.zero_grad()
        seen.append(module.weight.detach().numpy()[~kept])
        value = nn.functional.mse_loss(module(X), noisy)
        value.backward()
        return value.detach()

    with so.Mask({"weight": kept}).hold(module, optimizer):
        for _ in range(4):
            optimizer.step(loss)
    assert not np.any(seen)
    columns = [np.column_stack([X[:, row], torch.ones(60)]) for row in torch.from_numpy(kept)]
    best = [np.linalg.lstsq(A, b, rcond=None)[1].item() for A, b in zip(columns, noisy.T.numpy(), strict=True)]
    assert loss().item() == pytest.approx(sum(best) / noisy.numel(), rel=1e-5)


class Counting(nn.Module):
    """Counts its samples, as observers of quantisation look at theirs, in evaluation too."""

    def __init__(self):
        super().__init__()
        self.inner = nn.Sequential(nn.Linear(8, 3), nn.BatchNorm1d(3))
        self.register_buffer("seen", torch.zeros(()))

    def forward(self, x):
        self.seen += len(x)
        return self.inner(x)


def test_what_a_module_counts_is_as_it_was():
    module = Counting()
    module(X)
    pruned = so.prune(module, X, sparsity=0.5)
    assert module.seen == pruned.model.seen == 60
    assert pruned.model.inner[1].running_mean.tolist() == module.inner[1].running_mean.tolist()


def test_buffers_that_parts_share_are_shared_in_the_copy_too():
    module = nn.Sequential(Counting(), nn.Linear(3, 8), Counting())
    module[2].seen = module[0].seen
    module[0].seen.fill_(5)
    pruned = so.prune(module, X, sparsity=0.5).model
    assert pruned[0].seen is pruned[2].seen
    assert pruned[0].seen == 5


def test_tensors_are_masks_and_matrices():
    """torch makes numpy warn where it copies a tensor at once: warnings are errors here."""
    kept = torch.eye(3, dtype=torch.bool)
    assert so.Mask({"w": kept}) == so.Mask({"w": kept.numpy()})
    assert so.prune([torch.ones(8, 3)], X, sparsity=0.5).mask.kept == 12


def test_a_training_that_diverges_says_so():
    with pytest.raises(ValueError, match="the training diverged in its step .* lower the learning_rate"):
        so.prune(perceptron(), X, Y, sparsity=0.5, method=FirstOrder(), refit=SGD(epochs=99, learning_rate=1e30))
