"""Parts of a module: which of them are linear maps, and their inputs as rows of a matrix."""

from __future__ import annotations

import copy

import numpy as np

from sparseopt.pruning.networks import Layer


def duplicate(module):
    """Deep copy of a module, also of one whose weights are computed, which `copy.deepcopy` refuses.

    A weight that a hook computes before each forward pass (torch.nn.utils.prune, weight_norm) is no leaf
    of the graph; its value is copied and computed anew by the next pass.
    """
    import torch

    computed = [
        tensor
        for part in module.modules()
        for tensor in vars(part).values()
        if isinstance(tensor, torch.Tensor) and not tensor.is_leaf
    ]
    # A tensor made in inference mode, which a caller may be in, would never have slopes.
    with torch.inference_mode(mode=False):
        return copy.deepcopy(module, {id(tensor): tensor.detach().clone() for tensor in computed})


def plain(module):
    """Copy of a module in which the masks and parametrisations of linear maps have become plain weights."""
    from torch.nn.utils import parametrize, prune

    module = duplicate(module)
    for part in module.modules():
        if not is_linear_map(part):
            continue
        if parametrize.is_parametrized(part):
            _remove_parametrizations(part)
        for name in ("weight", "bias"):
            if any(
                isinstance(hook, prune.BasePruningMethod) and hook._tensor_name == name  # noqa: SLF001, as prune.remove finds it
                for hook in list(vars(part)["_forward_pre_hooks"].values())
            ):
                prune.remove(part, name)
        # An optimizer knows parameters by their order: weight, bias.
        bias = part.bias
        del part.bias
        part.register_parameter("bias", bias)
    return module


def _remove_parametrizations(part):
    from torch import nn

    # torch's own function takes the weight from the class, which copies share: the original would lose it too.
    values = {name: getattr(part, name).detach().clone() for name in part.parametrizations}
    trains = {
        name: any(parameter.requires_grad for parameter in steps.parameters())
        for name, steps in part.parametrizations.items()
    }
    part.__class__ = type(part).__base__
    del part.parametrizations
    for name, value in values.items():
        part.register_parameter(name, nn.Parameter(value, requires_grad=trains[name]))


def is_linear_map(part) -> bool:
    """Whether a part of a module is a linear layer or a convolution over one or two axes, run as such."""
    from torch import nn
    from torch.nn.modules.linear import NonDynamicallyQuantizableLinear

    # The attention reads the weight of its last layer and does not call it.
    if isinstance(part, NonDynamicallyQuantizableLinear):
        return False
    return any(
        isinstance(part, kind) and type(part).forward is kind.forward for kind in (nn.Linear, nn.Conv1d, nn.Conv2d)
    )


def linear_maps(module):
    """Linear maps of a module by name, and the other weights that it has, described.

    A weight is a parameter of two dimensions or more: biases and scales do not count. One that several
    parts share is none of the linear maps, since pruning it for one would change the others; nor is one whose bias
    is shared, since fitting that would.
    """
    shared = [id(parameter) for _, parameter in module.named_parameters(remove_duplicate=False)]
    found, others = {}, []
    for name, part in module.named_modules():
        for key, parameter in part.named_parameters(recurse=False):
            if parameter.ndim < 2:
                continue
            kind = type(part).__name__
            if shared.count(id(parameter)) > 1:
                others.append(f"{name}.{key} ({kind}, shared with another part)".lstrip("."))
            elif is_linear_map(part) and key == "weight" and parameter.is_floating_point():
                if part.bias is not None and shared.count(id(part.bias)) > 1:
                    others.append(f"{name}.weight ({kind}, its bias is shared with another part)".lstrip("."))
                else:
                    found[name] = part
            else:
                others.append(f"{name}.{key} ({kind})".lstrip("."))
    return found, tuple(others)


def groups(part) -> int:
    """Number of separate linear maps in a part: the groups of a convolution."""
    return getattr(part, "groups", 1)


def layers_of(name, part) -> list[Layer]:
    """Layers of a linear map: one for each group of a convolution, with the group in its name."""
    weights = np.split(numbers(part.weight), groups(part))
    biases = [None] * len(weights) if part.bias is None else np.split(numbers(part.bias), len(weights))
    return [
        Layer(layer, weight.reshape(len(weight), -1).T, bias, weight.shape)
        for layer, weight, bias in zip(layer_names(name, part), weights, biases, strict=True)
    ]


def layer_names(name, part) -> list[str]:
    """Names of the layers of a linear map: its own, or that and the number of the group."""
    name = name or "weight"
    return [name] if groups(part) == 1 else [f"{name}[{group}]" for group in range(groups(part))]


def rows(part, inputs):
    """Inputs of a linear map as an array of shape (samples, places, all inputs of all groups).

    A convolution is a linear map of the patches that it sees, with the channels as the slowest axis.
    """
    from torch import nn
    from torch.nn import functional

    if isinstance(part, nn.Linear):
        return inputs.reshape(len(inputs), -1, inputs.shape[-1]) if inputs.ndim > 1 else inputs.reshape(1, 1, -1)
    sizes, padding, dilation, stride = part.kernel_size, [], part.dilation, part.stride
    # torch pads the last axis first.
    for axis in reversed(range(len(sizes))):
        match part.padding:
            case "valid":
                before = after = 0
            case "same":
                before = dilation[axis] * (sizes[axis] - 1) // 2
                after = dilation[axis] * (sizes[axis] - 1) - before
            case widths:
                before = after = widths[axis]
        padding += [before, after]
    mode = "constant" if part.padding_mode == "zeros" else part.padding_mode
    inputs = functional.pad(inputs, padding, mode=mode)
    if isinstance(part, nn.Conv1d):
        inputs, sizes, dilation, stride = inputs.unsqueeze(2), (1, *sizes), (1, *dilation), (1, *stride)
    return functional.unfold(inputs, sizes, dilation=dilation, stride=stride).transpose(1, 2)


def places(part, outputs):
    """Outputs of a linear map, or slopes there, of shape (samples, places, outputs)."""
    from torch import nn

    if not isinstance(part, nn.Linear):
        outputs = outputs.movedim(1, -1)
    return outputs.reshape(len(outputs), -1, outputs.shape[-1])


def numbers(tensor) -> np.ndarray:
    """Copy of a tensor as an array in single or double precision, whichever is nearest to its own."""
    import torch

    precision = torch.float64 if tensor.dtype == torch.float64 else torch.float32
    return tensor.detach().to("cpu", precision, copy=True).numpy()
