"""Channels of convolutions taken out, with all that belongs to them, and batch normalisation folded."""

import copy
import itertools
import pickle
import warnings

import numpy as np
import pytest

import sparseopt as so
from sparseopt.pruning import (
    ActivationEntropy,
    ActivationSparsity,
    ActivationVariance,
    Contribution,
    GroupSelection,
    IncomingNorm,
    Magnitude,
    OutgoingNorm,
    RandomNeurons,
    prune_neurons,
    shrink,
    size_report,
)

torch = pytest.importorskip("torch")

from torch import nn  # noqa: E402

from sparseopt.adapters.torch import TorchNetwork, fold_batch_norm  # noqa: E402

IMAGES = np.random.default_rng(0).standard_normal((40, 2, 8, 8)).astype(np.float32)
LABELS = np.random.default_rng(1).integers(0, 3, 40)
SIGNALS = np.random.default_rng(2).standard_normal((40, 3, 12)).astype(np.float32)
METHODS = (
    *(GroupSelection(), Contribution(), ActivationSparsity(), ActivationVariance(), ActivationEntropy()),
    *(ActivationEntropy(bins=4), OutgoingNorm(), IncomingNorm(), RandomNeurons()),
)


def lived(module):
    """The module in evaluation mode, with batch normalisations that have seen data."""
    rng = torch.Generator().manual_seed(0)
    for part in module.modules():
        if isinstance(part, nn.modules.batchnorm._BatchNorm):
            part.running_mean.normal_(generator=rng)
            part.running_var.uniform_(0.5, 2, generator=rng)
            if part.affine:
                part.weight.data.normal_(generator=rng)
                part.bias.data.normal_(generator=rng)
        if isinstance(part, nn.PReLU):
            part.weight.data.uniform_(0, 1, generator=rng)
    return module.eval()


def images():
    torch.manual_seed(0)
    return lived(
        nn.Sequential(
            *(nn.Conv2d(2, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU(inplace=True), nn.MaxPool2d(2)),
            nn.Sequential(nn.Conv2d(8, 12, (3, 2), bias=False), nn.BatchNorm2d(12, affine=False), nn.PReLU(12)),
            *(nn.Dropout2d(0.3), nn.AvgPool2d(2, padding=1), nn.Flatten(), nn.BatchNorm1d(48)),
            *(nn.Linear(48, 10), nn.BatchNorm1d(10), nn.PReLU(), nn.Linear(10, 3), nn.LogSoftmax(1)),
        )
    )


def signals():
    torch.manual_seed(1)
    return lived(
        nn.Sequential(
            *(nn.BatchNorm1d(3), nn.Conv1d(3, 8, 3, stride=2, padding="valid"), nn.BatchNorm1d(8), nn.Tanh()),
            *(nn.Conv1d(8, 6, 3, padding=1, padding_mode="circular"), nn.GELU(), nn.AdaptiveAvgPool1d(1)),
            *(nn.Flatten(), nn.Linear(6, 2)),
        )
    )


def values(module, X):
    with torch.no_grad():
        return copy.deepcopy(module).eval()(torch.tensor(X)).numpy()


def close(first, second):
    """Equal but for rounding in single precision: 1e-6 of the largest output."""
    return np.abs(first - second).max() <= 1e-6 * max(np.abs(second).max(), 1)


@pytest.mark.parametrize("method", METHODS, ids=repr)
def test_the_smaller_module_gives_what_the_one_with_zeros_gives(method):
    module = images()
    before = copy.deepcopy(module.state_dict())
    for refit in (True, False):
        network = TorchNetwork(module, link="softmax")
        small, zeroed = (
            prune_neurons(network, IMAGES, LABELS, sparsity=0.5, method=method, refit=refit, smaller=smaller)
            for smaller in (True, False)
        )
        assert small.mask == zeroed.mask
        assert close(values(small.model, IMAGES), values(zeroed.model, IMAGES))
        assert sum(report.kept for report in small.layers) == 15
        # What was cut by zeros is found by shrink, which sees nothing but the zeros.
        assert close(values(shrink(zeroed.model), IMAGES), values(zeroed.model, IMAGES))
        assert size_report(zeroed.model)["shrunk"].weights <= sum(w.numel() for w in small.model.parameters())
    assert all(torch.equal(before[name], tensor) for name, tensor in module.state_dict().items())


def test_everything_of_a_channel_goes_with_it_and_the_rest_stays_in_place():
    keep = {"0": 3, "4.0": 4, "9": 5}
    pruned = prune_neurons(images(), IMAGES, keep=keep, refit=False)
    small, before = pruned.model, images()
    kept = [np.flatnonzero(pruned.mask[name].reshape(len(pruned.mask[name]), -1).any(axis=1)) for name in keep]
    assert [len(places) for places in kept] == [3, 4, 5]
    assert torch.equal(small[0].weight, before[0].weight[kept[0]])
    assert torch.equal(small[1].running_var, before[1].running_var[kept[0]])
    assert torch.equal(small[4][0].weight, before[4][0].weight[kept[1]][:, kept[0]])
    assert torch.equal(small[4][1].running_mean, before[4][1].running_mean[kept[1]])
    assert torch.equal(small[4][2].weight, before[4][2].weight[kept[1]])
    flat = (kept[1][:, None] * 4 + np.arange(4)).ravel()
    assert torch.equal(small[8].bias, before[8].bias[flat])
    assert torch.equal(small[9].weight, before[9].weight[kept[2]][:, flat])
    assert repr(small[4][0]) == "Conv2d(3, 4, kernel_size=(3, 2), stride=(1, 1), bias=False)"
    assert (small[1].num_features, small[4][2].num_parameters, small[8].num_features) == (3, 4, 16)
    assert list(small.state_dict()) == list(before.state_dict())


def test_a_smaller_module_trains_copies_and_pickles():
    small = prune_neurons(images(), IMAGES, sparsity=0.5).model.train()
    assert close(values(copy.deepcopy(small), IMAGES), values(pickle.loads(pickle.dumps(small)), IMAGES))
    optimizer = torch.optim.SGD(small.parameters(), lr=0.1, momentum=0.9)
    before = values(small, IMAGES)
    for _ in range(3):
        optimizer.zero_grad()
        nn.functional.nll_loss(small(torch.tensor(IMAGES)), torch.tensor(LABELS)).backward()
        optimizer.step()
    assert not close(values(small, IMAGES), before)
    fresh = prune_neurons(images(), IMAGES, sparsity=0.5).model
    fresh.load_state_dict(small.state_dict())


def test_channels_of_signals_go_and_constants_move_through_an_even_edge():
    module = signals()
    pruned = prune_neurons(module, SIGNALS, keep={"1": 4, "4": 3})
    assert (pruned.model[1].out_channels, pruned.model[4].in_channels, pruned.model[8].in_features) == (4, 4, 3)
    with torch.no_grad():
        module[1].weight[[0, 3]] = 0
        module[4].weight[2] = 0
    small = shrink(module)
    assert (small[1].out_channels, small[4].in_channels, small[4].out_channels) == (6, 6, 5)
    assert close(values(small, SIGNALS), values(module, SIGNALS))


@pytest.mark.parametrize(
    ("first", "second", "left"),
    [
        ({}, {"padding": 1}, 4),  # beside zeros at the edge a constant is none
        ({}, {"padding": 1, "padding_mode": "reflect"}, 3),
        ({}, {"padding": "same"}, 4),
        ({}, {}, 3),
        ({}, {"bias": False}, 4),
        ({"bias": False}, {"padding": 1}, 3),  # zero itself
    ],
)
def test_a_constant_channel_goes_where_no_edge_shows_it(first, second, left):
    torch.manual_seed(0)
    module = nn.Sequential(nn.Conv2d(2, 4, 3, **first), nn.ReLU(), nn.Conv2d(4, 2, 3, **second)).eval()
    with torch.no_grad():
        module[0].weight[1] = 0
        if module[0].bias is not None:
            module[0].bias[1] = 2
    small = shrink(module)
    assert small[0].out_channels == small[2].in_channels == left
    assert close(values(small, IMAGES), values(module, IMAGES))


@pytest.mark.parametrize("pool", [nn.AvgPool2d(2, padding=1), nn.AvgPool2d(2, divisor_override=3), nn.ZeroPad2d(1)])
def test_a_constant_that_a_part_makes_uneven_stays(pool):
    torch.manual_seed(0)
    module = nn.Sequential(nn.Conv2d(2, 3, 3), pool, nn.Sigmoid(), nn.Conv2d(3, 2, 2)).eval()
    with torch.no_grad():
        module[0].weight[1] = 0
    small = shrink(module)
    assert small[0].out_channels == 3
    assert close(values(small, IMAGES), values(module, IMAGES))


def test_the_chosen_channels_are_the_best_of_all_for_the_layer_that_reads_them():
    torch.manual_seed(3)
    module = nn.Sequential(nn.Conv2d(2, 5, 3), nn.ReLU(), nn.Conv2d(5, 3, 2)).eval()
    errors = {}
    for pair in itertools.combinations(range(5), 2):
        network = TorchNetwork(module)
        A = np.asarray(list(network.inputs(IMAGES))[1], float)
        T = network.layers()[1](A)
        columns = (np.array(pair)[:, None] * 4 + np.arange(4)).ravel()
        A = A[:, columns] - A[:, columns].mean(axis=0)
        T = (T - T.mean(axis=0)) * np.sqrt(network.sensitivities(IMAGES)[1])
        errors[pair] = np.sum((T - A @ np.linalg.lstsq(A, T, rcond=None)[0]) ** 2)
    pruned = prune_neurons(module, IMAGES, keep=2, method=GroupSelection(damping=1e-9))
    chosen = tuple(np.flatnonzero(pruned.mask["0"].any(axis=(1, 2, 3))))
    assert chosen == min(errors, key=errors.get)


@pytest.mark.filterwarnings("ignore:pruning leaves")
def test_what_the_modules_do_not_show_is_refused_in_words():
    class Residual(nn.Module):
        def __init__(self):
            super().__init__()
            self.first, self.second = nn.Conv2d(2, 2, 3, padding=1), nn.Conv2d(2, 2, 3, padding=1)

        def forward(self, x):
            return x + self.second(self.first(x))

    norm = nn.BatchNorm2d(4)
    conv = nn.Conv2d(2, 4, 3)
    for module, message in (
        (Residual(), "what Residual does between its layers is not known"),
        (nn.Sequential(conv, nn.Conv2d(4, 4, 3, groups=2), nn.Conv2d(4, 2, 1)), "'1' has 2 groups"),
        (nn.Sequential(conv, nn.GroupNorm(2, 4), nn.Conv2d(4, 2, 1)), "'1' (GroupNorm) after '0'"),
        (nn.Sequential(conv, nn.Softmax(1), nn.Conv2d(4, 2, 1)), "'1' (Softmax)"),
        (nn.Sequential(conv, nn.BatchNorm2d(4, track_running_stats=False), nn.Conv2d(4, 2, 1)), "no running mean"),
        (nn.Sequential(conv, norm, nn.Conv2d(4, 4, 1), norm, nn.Conv2d(4, 1, 1)), "runs at several places"),
        (nn.Sequential(conv, nn.Linear(6, 2), nn.Flatten()), "put nn.Flatten()"),
        (nn.Sequential(conv, nn.Flatten(2), nn.Linear(36, 2)), "'1' (Flatten)"),
        (nn.Sequential(conv, nn.Flatten(), nn.MaxPool1d(2), nn.Linear(72, 2)), "'2' (MaxPool1d)"),
        (nn.Sequential(nn.Linear(8, 2), nn.Conv2d(2, 2, 3)), "'1' (Conv2d, 18 inputs) does not read"),
        (nn.Sequential(nn.Linear(8, 4), nn.Flatten(), nn.Linear(64, 3)), "'1' (Flatten)"),
    ):
        for call in (
            lambda module=module: prune_neurons(module, IMAGES, sparsity=0.5),
            lambda module=module: shrink(module),
        ):
            with pytest.raises(TypeError) as raised:
                call()
            assert message in str(raised.value)


def test_a_part_that_runs_twice_runs_twice_in_the_sparse_network():
    torch.manual_seed(0)
    relu = nn.ReLU()
    module = nn.Sequential(nn.Linear(5, 4), relu, nn.Linear(4, 3), relu, nn.Linear(3, 2))
    X = np.random.default_rng(0).standard_normal((6, 5)).astype(np.float32)
    assert close(so.pruning.SparseNetwork.of(module).outputs(X), values(module, X))


def test_folded_normalisation_leaves_the_outputs_and_the_names():
    for module, X, folded in ((images(), IMAGES, ["1", "4.1", "10"]), (signals(), SIGNALS, ["2"])):
        before = copy.deepcopy(module.state_dict())
        with warnings.catch_warnings(record=True) as told:
            warnings.simplefilter("always")
            found = fold_batch_norm(module.train())
        assert len(told) == 1
        assert "stay: no layer comes right before them" in str(told[0].message)
        assert all(isinstance(found.get_submodule(name), nn.Identity) for name in folded)
        assert close(values(found, X), values(module, X))
        assert all(torch.equal(before[name], tensor) for name, tensor in module.state_dict().items())
        assert not found.training


def test_named_pairs_fold_in_any_module_also_groups_and_masks():
    class Block(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv, self.norm = nn.Conv2d(2, 4, 3, padding=1, groups=2, bias=False), nn.BatchNorm2d(4)

        def forward(self, x):
            return torch.relu(self.norm(self.conv(x))) + x.repeat(1, 2, 1, 1)

    module = lived(Block())
    mask = so.prune(module, IMAGES, sparsity=0.5, method=Magnitude()).mask
    masked = mask.to_torch_prune(mask.apply(module))
    found = fold_batch_norm(masked, [("conv", "norm")])
    assert close(values(found, IMAGES), values(masked, IMAGES))
    assert (so.Mask.of(found) & ~mask).kept == 0
    for error, pairs, message in (
        (TypeError, None, "which normalisation of Block"),
        (TypeError, [("conv", "other")], "pairs name 'other'"),
        (TypeError, [("norm", "conv")], "'norm' is BatchNorm2d"),
        (TypeError, [("conv", "norm"), ("conv", "norm")], "2 times"),
    ):
        with pytest.raises(error, match=message):
            fold_batch_norm(module, pairs)
    for norm, message in (
        (nn.BatchNorm2d(3), "3 channels"),
        (nn.BatchNorm2d(4, track_running_stats=False), "no running"),
    ):
        module.norm = norm
        with pytest.raises(ValueError, match=message):
            fold_batch_norm(module, [("conv", "norm")])
