"""Masks that hold while modules of PyTorch train, and copies and states that stay what they are."""

import copy
import io
import pickle

import numpy as np
import pytest

import sparseopt as so
from sparseopt.pruning import Magnitude

torch = pytest.importorskip("torch")

from torch import nn  # noqa: E402
from torch.nn.utils import parametrize, prune  # noqa: E402

X = torch.randn(200, 20, generator=torch.Generator().manual_seed(0))
LABELS = (X[:, 0] > 0).long() + (X[:, 1] > 0)
OPTIMIZERS = [
    lambda p: torch.optim.SGD(p, lr=0.1, momentum=0.9, nesterov=True, weight_decay=0.01),
    lambda p: torch.optim.Adam(p, lr=0.01, weight_decay=0.1),
    lambda p: torch.optim.AdamW(p, lr=0.01, weight_decay=0.1),
    lambda p: torch.optim.RMSprop(p, lr=0.01, momentum=0.9, weight_decay=0.1),
    lambda p: torch.optim.LBFGS(p, lr=0.1, max_iter=4),
]


def perceptron():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(20, 16), nn.ReLU(), nn.Linear(16, 3))


def mask_of(sparsity=0.8):
    return so.prune(perceptron(), X, sparsity=sparsity, method=Magnitude()).mask


def train(module, optimizer, epochs=5):
    for _ in range(epochs):
        for batch in range(0, 200, 50):

            def loss(rows=slice(batch, batch + 50)):
                optimizer.zero_grad()
                value = nn.functional.cross_entropy(module(X[rows]), LABELS[rows])
                value.backward()
                return value

            optimizer.step(loss)


def revived(module, mask):
    return sum(
        int(np.count_nonzero(module.get_submodule(name).weight.detach().numpy()[~kept])) for name, kept in mask.items()
    )


@pytest.mark.parametrize("make", OPTIMIZERS)
def test_no_weight_is_revived_in_five_epochs_of_momentum_and_decay(make):
    module, mask = perceptron(), mask_of()
    optimizer = make(module.parameters())
    train(module, optimizer, epochs=1)
    before = module[0].weight.detach().clone()
    hold = mask.hold(module, optimizer)
    train(module, optimizer)
    assert revived(module, mask) == 0
    kept = torch.tensor(mask["0"])
    assert (module[0].weight[kept] != before[kept]).all()
    assert list(module.state_dict()) == list(perceptron().state_dict())
    for twin in (copy.deepcopy(module), pickle.loads(pickle.dumps(module))):
        assert torch.equal(twin(X), module(X))
    hold.remove()
    hold.remove()
    train(module, optimizer, epochs=1)
    assert revived(module, mask) > 0


def test_a_hold_ends_with_its_block():
    module, mask = perceptron(), mask_of()
    optimizer = torch.optim.SGD(module.parameters(), lr=0.1)
    with mask.hold(module, optimizer):
        train(module, optimizer)
        assert revived(module, mask) == 0
    train(module, optimizer)
    assert revived(module, mask) > 0


@pytest.mark.parametrize("form", ["to_torch_prune", "parametrize"])
def test_masked_modules_copy_pickle_and_share_states_with_plain_ones(form):
    module, plain, mask = perceptron(), perceptron(), mask_of()
    assert getattr(mask, form)(module) is module
    module(X).sum().backward()
    stream = io.BytesIO()
    torch.save(module.state_dict(), stream)
    stream.seek(0)
    plain.load_state_dict(torch.load(stream))
    assert revived(plain, mask) == 0
    assert torch.equal(plain(X), module(X))
    module.load_state_dict(perceptron().state_dict())
    assert torch.equal(mask.apply(perceptron())(X), module(X))
    twin = copy.deepcopy(module)
    again = copy.deepcopy(copy.deepcopy(twin))
    optimizer = torch.optim.Adam(again.parameters(), lr=0.01, weight_decay=0.1)
    train(again, optimizer)
    assert revived(again, mask) == 0
    assert torch.equal(twin(X), module(X))
    assert not torch.equal(again(X), module(X))
    again.load_state_dict(module.state_dict())
    assert torch.equal(again(X), module(X))
    assert so.Mask.of(again) == so.Mask.of(module) == mask


def test_the_form_of_torch_pickles_whole_and_is_removed_by_torch():
    module, mask = mask_of().to_torch_prune(perceptron()), mask_of()
    stream = io.BytesIO()
    torch.save(module, stream)
    stream.seek(0)
    for twin in (torch.load(stream, weights_only=False), pickle.loads(pickle.dumps(module))):
        assert torch.equal(copy.deepcopy(twin)(X), module(X))
    assert sorted(dict(module.named_buffers())) == ["0.weight_mask", "2.weight_mask"]
    for i in (0, 2):
        prune.remove(module[i], "weight")
    assert list(module.state_dict()) == [*("0.bias", "0.weight", "2.bias", "2.weight")]
    assert revived(copy.deepcopy(module), mask) == 0


def test_a_parametrisation_is_removed_by_torch():
    module, mask = mask_of().parametrize(perceptron()), mask_of()
    for i in (0, 2):
        parametrize.remove_parametrizations(module[i], "weight", leave_parametrized=True)
    assert type(module[0]) is nn.Linear
    assert revived(module, mask) == 0
    module.load_state_dict(perceptron().state_dict())


def test_a_kept_weight_of_zero_is_still_kept():
    module, mask = perceptron(), mask_of()
    mask.to_torch_prune(module)
    with torch.no_grad():
        module[0].weight_orig.zero_()
    assert so.Mask.of(module) == mask
    assert not so.Mask.of(mask.apply(module))["0"].any()


def test_masks_of_modules_are_applied_undone_saved_and_loaded(tmp_path):
    module, mask = perceptron(), mask_of()
    mask.save(tmp_path / "mask.npz")
    masked = so.Mask.load(tmp_path / "mask.npz").apply(module)
    assert so.Mask.of(masked) == mask
    restored = mask.undo(masked, module)
    assert all(torch.equal(a, b) for a, b in zip(restored.parameters(), module.parameters(), strict=True))


def test_groups_of_a_convolution_are_held_together():
    module = nn.Conv2d(4, 6, 3, groups=2)
    mask = so.prune(module, np.random.default_rng(0).standard_normal((10, 4, 5, 5)), sparsity=0.5).mask
    assert list(mask) == ["weight[0]", "weight[1]"]
    mask.parametrize(module)
    assert torch.count_nonzero(module.weight) == mask.kept
    with pytest.raises(ValueError, match="all groups"):
        so.Mask({"weight[0]": mask["weight[0]"]}).to_torch_prune(nn.Conv2d(4, 6, 3, groups=2))


@pytest.mark.parametrize("form", ["to_torch_prune", "parametrize"])
def test_a_second_mask_on_a_weight_says_that_there_is_one(form):
    module, mask = perceptron(), mask_of()
    getattr(mask, form)(module)
    for again in (mask.to_torch_prune, mask.parametrize):
        with pytest.raises(ValueError, match="computed by a mask or parametrisation that it has"):
            again(module)


@pytest.mark.parametrize(
    ("mistake", "message"),
    [
        (lambda m: m.hold(perceptron()), "mask.hold(module, optimizer)"),
        (lambda m: m.hold(perceptron(), torch.optim.SGD(perceptron().parameters())), "trains none"),
        (lambda m: m.hold([np.ones((2, 2))]), "not trained in place"),
        (lambda m: m.parametrize(perceptron()[0]), "the module does not"),
        (lambda m: m.parametrize(nn.Sequential(nn.Linear(20, 5), nn.ReLU(), nn.Linear(5, 3))), "they must agree"),
    ],
)
def test_a_mistake_is_told_at_the_door(mistake, message):
    with pytest.raises((TypeError, ValueError)) as raised:
        mistake(mask_of())
    assert message in str(raised.value)
