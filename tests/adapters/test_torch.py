"""Modules of PyTorch as networks: layers wherever they are, passes that leave the module as it was."""

import copy
import pickle
from dataclasses import replace

import numpy as np
import pytest

import sparseopt as so
from sparseopt.pruning import LayerwiseL0, Link, Magnitude, NumpyMLP

torch = pytest.importorskip("torch")

from torch import nn  # noqa: E402
from torch.nn.utils import parametrizations  # noqa: E402

from sparseopt.adapters.torch import TorchNetwork  # noqa: E402

RNG = np.random.default_rng(0)
X = RNG.standard_normal((120, 20)).astype(np.float32)
IMAGES = RNG.standard_normal((20, 4, 9, 8)).astype(np.float32)


def perceptron():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(20, 16), nn.ReLU(inplace=True), nn.Dropout(0.5), nn.Linear(16, 3))


class Residual(nn.Module):
    """Convolutions whose order of registration is not that of the pass, and operations in place."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(1)
        self.head = nn.Linear(6, 3)
        self.first = nn.Conv2d(4, 6, 3, padding=1)
        self.second = nn.Conv2d(6, 6, (3, 2), groups=2, padding="same", dilation=(2, 1), padding_mode="reflect")
        self.norm = nn.BatchNorm2d(6)

    def forward(self, x):
        x = torch.relu_(self.norm(self.first(x)))
        x = x + self.second(x)
        return self.head(x.mean((2, 3)))


ORDER = ("first", "second", "head")


def values(module, X):
    module = copy.deepcopy(module).eval()
    with torch.no_grad():
        return module(torch.tensor(X)).numpy()


def test_a_module_is_pruned_like_the_same_matrices():
    module = perceptron()
    matrices = NumpyMLP(
        [module[i].weight.detach().numpy().T for i in (0, 3)], [module[i].bias.detach().numpy() for i in (0, 3)]
    )
    for method in (LayerwiseL0(), Magnitude()):
        ours = so.prune(module, X, sparsity=0.7, method=method)
        theirs = so.prune(matrices, X, sparsity=0.7, method=method)
        assert ours.mask["0"].T.tolist() == theirs.mask["weights_0"].tolist()
        np.testing.assert_allclose(values(ours.model, X), theirs.model.predict(X), atol=1e-5)


def test_the_given_module_its_mode_and_the_random_state_are_untouched():
    module = perceptron()
    module[2].eval()
    before, state = copy.deepcopy(module.state_dict()), torch.random.get_rng_state()
    pruned = so.prune(module, X, sparsity=0.7)
    assert all(torch.equal(before[key], value) for key, value in module.state_dict().items())
    assert torch.equal(torch.random.get_rng_state(), state)
    assert [part.training for part in module.modules()] == [part.training for part in pruned.model.modules()]
    assert not any(part._forward_hooks or part._forward_pre_hooks for part in module.modules())
    assert list(pruned.model.state_dict()) == list(before)
    assert all(parameter.requires_grad and parameter.is_leaf for parameter in pruned.model.parameters())
    assert so.Mask.of(pruned.model) == pruned.mask


@pytest.mark.parametrize("batch_size", [7, 1024])
def test_layers_anywhere_in_a_module_get_the_inputs_that_they_really_have(batch_size):
    """Convolutions as linear maps of patches: with padding, dilation, strides and groups."""
    module, seen = Residual().eval(), {}
    handles = [
        getattr(module, name).register_forward_hook(lambda part, args, out, name=name: seen.update({name: out.clone()}))
        for name in ORDER
    ]
    module(torch.tensor(IMAGES))
    for handle in handles:
        handle.remove()
    network = TorchNetwork(module, only=ORDER, batch_size=batch_size)
    outputs = {name: out.movedim(1, -1).flatten(0, -2).detach().numpy() for name, out in seen.items()}
    halves = np.split(outputs.pop("second"), 2, axis=1)
    outputs |= {"second[0]": halves[0], "second[1]": halves[1]}
    assert [layer.name for layer in network.layers()] == ["first", "second[0]", "second[1]", "head"]
    for layer, inputs in zip(network.layers(), network.inputs(IMAGES), strict=True):
        np.testing.assert_allclose(layer(inputs), outputs[layer.name], atol=1e-5)
    np.testing.assert_allclose(network.outputs(IMAGES), values(module, IMAGES), atol=1e-6)


@pytest.mark.parametrize(
    "convolution",
    [
        nn.Conv2d(4, 5, 3, stride=2, padding=(2, 1), padding_mode="circular"),
        nn.Conv2d(4, 8, 2, groups=4, bias=False),
        nn.Conv2d(4, 4, (1, 3), padding="valid", dilation=2),
        nn.Conv2d(4, 3, 5, padding="same"),
    ],
    ids=repr,
)
def test_a_convolution_is_a_linear_map_of_its_patches(convolution):
    (network, outputs) = TorchNetwork(convolution), values(convolution, IMAGES)
    found = [layer(inputs) for layer, inputs in zip(network.layers(), network.inputs(IMAGES), strict=True)]
    expected = np.moveaxis(outputs, 1, -1).reshape(-1, outputs.shape[1])
    np.testing.assert_allclose(np.concatenate(found, axis=1), expected, atol=1e-5)


def test_a_convolution_over_one_axis_is_one_too():
    convolution = nn.Conv1d(4, 6, 3, padding=1, stride=2, groups=2)
    signal = IMAGES[:, :, :, 0]
    network = TorchNetwork(convolution)
    found = [layer(inputs) for layer, inputs in zip(network.layers(), network.inputs(signal), strict=True)]
    expected = np.moveaxis(values(convolution, signal), 1, -1).reshape(-1, 6)
    np.testing.assert_allclose(np.concatenate(found, axis=1), expected, atol=1e-5)


def test_slopes_are_those_of_the_outputs():
    """Against central differences in the biases, in double precision, past operations in place."""
    module = Residual().double()
    network = TorchNetwork(module, only=ORDER, batch_size=8)
    seeds = RNG.standard_normal((20, 3))
    slopes = network.slopes(IMAGES, seeds)
    for i, (layer, slope) in enumerate(zip(network.layers(), slopes, strict=True)):
        assert slope.shape == (
            next(x for j, x in enumerate(network.inputs(IMAGES)) if i == j).shape[0],
            len(layer.bias),
        )
        for neuron in (0, len(layer.bias) - 1):
            moved = []
            for h in (1e-6, -1e-6):
                layers = list(network.layers())
                layers[i] = replace(layer, bias=layer.bias + h * (np.arange(len(layer.bias)) == neuron))
                moved.append(np.sum(seeds * network.with_layers(layers).outputs(IMAGES)))
            assert slope[:, neuron].sum() == pytest.approx((moved[0] - moved[1]) / 2e-6, rel=1e-5, abs=1e-7)


def test_frozen_parameters_have_slopes_too():
    module = perceptron()
    module.requires_grad_(requires_grad=False)
    seeds = np.ones((120, 3), np.float32)
    for mine, other in zip(
        TorchNetwork(module).slopes(X, seeds), TorchNetwork(perceptron()).slopes(X, seeds), strict=True
    ):
        np.testing.assert_array_equal(mine, other)
    assert not any(parameter.requires_grad for parameter in so.prune(module, X, sparsity=0.5).model.parameters())


def test_convolutions_are_pruned_and_better_so_than_by_magnitude():
    network = TorchNetwork(Residual(), only=ORDER, link="softmax")
    wanted = network.outputs(IMAGES)
    errors = []
    for method in (LayerwiseL0(), Magnitude()):
        pruned = so.prune(network, IMAGES, sparsity=0.6, method=method)
        assert isinstance(pruned.model, Residual)
        assert pruned.mask["second[1]"].shape == (3, 3, 3, 2)
        errors.append(np.sum((values(pruned.model, IMAGES) - wanted) ** 2))
    assert errors[0] < errors[1] / 2


def test_a_layer_that_runs_twice_has_a_row_for_each_time():
    class Twice(nn.Module):
        def __init__(self):
            super().__init__()
            self.fc = nn.Linear(20, 20)

        def forward(self, x):
            return self.fc(torch.tanh(self.fc(x)))

    module = Twice()
    network = TorchNetwork(module)
    (inputs,), (layer,) = network.inputs(X), network.layers()
    assert inputs.shape == (240, 20)
    np.testing.assert_array_equal(inputs[::2], X)
    np.testing.assert_allclose(inputs[1::2], np.tanh(layer(X)), atol=1e-6)
    (slopes,) = network.slopes(X, np.ones((120, 20), np.float32))
    np.testing.assert_array_equal(slopes[1::2], 1)


def test_other_weights_are_named_and_left():
    class Tagger(nn.Module):
        def __init__(self):
            super().__init__()
            self.embed = nn.Embedding(10, 8)
            self.lstm = nn.LSTM(8, 6, batch_first=True)
            self.out = nn.Linear(6, 4)
            self.tied = nn.Linear(8, 10, bias=False)
            self.tied.weight = self.embed.weight

        def forward(self, x):
            return self.out(self.lstm(self.embed(x))[0]).mean(1)

    module, words = Tagger(), RNG.integers(0, 10, (30, 7))
    with pytest.warns(UserWarning, match=r"embed.weight \(Embedding, shared.*lstm.weight_ih_l0 \(LSTM\)"):
        so.adapters.adapt(module)
    network = TorchNetwork(module, only=["out"], prepare=lambda batch: torch.as_tensor(batch).long())
    pruned = so.prune(network, words, sparsity=0.5)
    assert list(pruned.mask) == ["out"]
    assert pruned.mask.kept == 12
    assert torch.equal(pruned.model.embed.weight, module.embed.weight)
    assert len(network.left_out) == 4
    assert all(name in pruned.notes[0] for name in network.left_out)


def test_the_last_layer_of_an_attention_is_named_since_it_is_not_called():
    network = TorchNetwork(nn.TransformerEncoderLayer(8, 2, 16, batch_first=True), only=("linear1", "linear2"))
    assert any(name.startswith("self_attn.out_proj.weight") for name in network.left_out)
    words = RNG.standard_normal((10, 5, 8)).astype(np.float32)
    assert [inputs.shape for inputs in network.inputs(words)] == [(50, 8), (50, 16)]
    assert so.prune(network, words, sparsity=0.5).mask.kept == 128


def test_masks_and_parametrisations_become_plain_weights():
    module = perceptron()
    kept = torch.rand(16, 20) > 0.5
    nn.utils.prune.custom_from_mask(module[0], "weight", kept)
    parametrizations.weight_norm(module[3], "weight")
    network = TorchNetwork(module)
    np.testing.assert_allclose(network.outputs(X), values_of_computed(module), atol=1e-6)
    assert list(network.model().state_dict()) == list(perceptron().state_dict())
    assert so.Mask.of(module)["0"].tolist() == kept.tolist()
    assert hasattr(module[0], "weight_orig")
    assert hasattr(module[3], "parametrizations")
    module(torch.tensor(X))


def values_of_computed(module):
    module.eval()
    with torch.no_grad():
        return module(torch.tensor(X)).numpy()


def test_half_precision_and_copies_of_networks():
    network = TorchNetwork(perceptron().bfloat16(), link="softmax")
    assert network.layers()[0].weight.dtype == np.float32
    assert network.model()[0].weight.dtype == torch.bfloat16
    for twin in (copy.deepcopy(network), pickle.loads(pickle.dumps(network))):
        np.testing.assert_array_equal(twin.outputs(X), network.outputs(X))
    assert network.link is Link.SOFTMAX
    assert repr(network) == "TorchNetwork(Sequential, 2 layers, softmax)"


def test_old_weight_norm_and_complex_weights_are_named():
    module = nn.Sequential(nn.Linear(20, 4), nn.ReLU(), nn.Linear(4, 3), nn.Linear(3, 2, dtype=torch.complex64))
    with pytest.warns(FutureWarning):
        nn.utils.weight_norm(module[2])
    network = TorchNetwork(module)
    assert network.only == ("0",)
    named = " ".join(network.left_out)
    assert all(name in named for name in ("2.weight_g", "2.weight_v", "3.weight (Linear)"))


def test_samples_may_be_tensors_of_a_graph():
    module = perceptron()
    tensor = torch.tensor(X, requires_grad=True) * 1
    assert so.prune(module, tensor, sparsity=0.5).mask == so.prune(module, X, sparsity=0.5).mask
    assert TorchNetwork(module, only="3").only == ("3",)


def broken(module=None, weight=np.nan):
    module = module or perceptron()
    with torch.no_grad():
        module[0].weight[0, 0] = weight
    return module


@pytest.mark.parametrize(
    ("mistake", "message"),
    [
        (lambda: so.prune(perceptron(), X[:, :11], sparsity=0.5), r"does not take samples of shape \(11,\)"),
        (lambda: so.prune(perceptron(), X * np.nan, sparsity=0.5), "X holds NaN"),
        (lambda: so.prune(broken(), X, sparsity=0.5), "layer '0' holds NaN"),
        (lambda: list(TorchNetwork(broken(weight=3e38)).inputs(100 * X)), "inputs of layer '3' hold NaN or infinity"),
        (lambda: TorchNetwork(perceptron(), only=["1"]), "'1' is no layer that can be pruned; the module has '0', '3'"),
        (lambda: TorchNetwork(nn.Embedding(3, 2)), r"Embedding has no layer.*weight \(Embedding\)"),
        (lambda: TorchNetwork(nn.LazyLinear(3)), "run the module once"),
        (lambda: TorchNetwork(perceptron(), batch_size=0), "batch_size"),
        (lambda: list(TorchNetwork(Residual()).inputs(IMAGES)), r"another order.*only=\('first', 'second', 'head'\)"),
        (lambda: list(TorchNetwork(nn.Sequential(nn.Linear(20, 2), nn.Flatten(0))).inputs(X)), "along the first axis"),
    ],
)
def test_a_mistake_is_told_at_the_door(mistake, message):
    with pytest.raises(ValueError, match=message):
        mistake()


def test_what_is_no_module_and_what_gives_no_tensor_is_refused():
    class Pair(nn.Module):
        def __init__(self):
            super().__init__()
            self.fc = nn.Linear(20, 2)

        def forward(self, x):
            return self.fc(x), x

    with pytest.raises(TypeError, match=r"gives tuple; wrap it"):
        TorchNetwork(Pair()).outputs(X)
    with pytest.raises(TypeError, match=r"no nn.Module"):
        so.adapters.adapt(torch.optim.SGD(perceptron().parameters()))


def test_a_layer_that_the_pass_does_not_reach_is_named():
    class Spare(nn.Module):
        def __init__(self):
            super().__init__()
            self.used, self.spare = nn.Linear(20, 3), nn.Linear(3, 3)

        def forward(self, x):
            return self.used(x)

    with pytest.raises(ValueError, match=r"does not reach 'spare'.*only=\('used',\)"):
        so.prune(Spare(), X, sparsity=0.5)
