"""What lies between the layers of an nn.Sequential: which inputs of a layer are one neuron, or one channel.

A channel goes with its entries of the batch normalisation, pooling and activations after it, and with all inputs that
the next layer has of it. What mixes channels, or shows a channel to more than one layer, is refused. Modules do not say how
many axes a sample has: a BatchNorm1d after a Linear is taken to be of its neurons, as it is for samples of one axis.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np

from sparseopt.adapters.torch.chains import ELEMENTWISE, steps_of
from sparseopt.pruning.connections import Connection

# Of each channel alone, over its places; a channel that is constant stays the same constant.
OVER_PLACES = (
    *("MaxPool1d", "MaxPool2d", "AvgPool1d", "AvgPool2d"),
    *("AdaptiveAvgPool1d", "AdaptiveAvgPool2d", "AdaptiveMaxPool1d", "AdaptiveMaxPool2d"),
    *("Dropout1d", "Dropout2d", "ReflectionPad1d", "ReflectionPad2d", "ReplicationPad1d", "ReplicationPad2d"),
    *("ZeroPad1d", "ZeroPad2d", "Upsample", "UpsamplingNearest2d", "UpsamplingBilinear2d"),
)
# With numbers of their own for each channel, which go with it.
CARRIED = ("BatchNorm1d", "BatchNorm2d", "PReLU")
ENTRIES = ("weight", "bias", "running_mean", "running_var")


@dataclass(frozen=True)
class Between:
    """Parts between two layers of a chain, by name, and whether the second reads the places of the first as inputs."""

    first: str
    neurons: int
    second: object
    named: tuple[tuple[str, object], ...]
    width: int

    def connection(self) -> Connection:
        """The same, as pruning sees it."""
        return Connection(self.width, self.constants)

    def constants(self, values):
        """Inputs of the second layer where each neuron of the first always gives the same value; see `Connection`."""
        import torch

        current = torch.tensor(np.asarray(values, np.float64))[:, None]
        uneven = torch.zeros(len(values), dtype=torch.bool)
        with torch.no_grad():
            for _, part in self.named:
                if _pads_with_zeros(part):
                    uneven |= (current != 0).any(dim=1)
                current = _constant_after(part, current)
        if _pads_with_zeros(self.second):
            uneven |= (current != 0).any(dim=1)
        found = current.expand(len(values), self.width).clone().numpy()
        found[uneven.numpy()] = np.nan
        return found

    def carried(self):
        """Parts with entries for each channel: name, and the number of entries for one channel."""
        for name, part in self.named:
            size = entries(part)
            if size:
                yield name, size // self.neurons


def betweens(module, names) -> list[Between]:
    """Parts between the named layers of an nn.Sequential, once it is clear that each channel stays by itself."""
    from torch import nn

    if type(module) not in {nn.Sequential, nn.Linear, nn.Conv1d, nn.Conv2d}:
        raise TypeError(
            f"what {type(module).__name__} does between its layers is not known; only in an nn.Sequential is it clear "
            "which layers read a neuron or a channel, so that it can be taken out."
        )
    steps = list(steps_of(module))
    places = [place for place, (name, _) in enumerate(steps) if name in names]
    if [steps[place][0] for place in places] != list(names):
        raise TypeError("the layers of an nn.Sequential run once each and in its order; name them so.")
    counts = [id(part) for _, part in steps if entries(part)]
    for name, part in steps:
        if counts.count(id(part)) > 1:
            raise TypeError(f"{name!r} ({type(part).__name__}) runs at several places, but its channels go at one.")
    return [
        _between(steps[start], steps[end], tuple(steps[start + 1 : end])) for start, end in itertools.pairwise(places)
    ]


def entries(part) -> int:
    """Numbers of a part for the channels that it is given, 0 where it has none."""
    match type(part).__name__:
        case "BatchNorm1d" | "BatchNorm2d":
            return part.num_features
        case "PReLU" if part.num_parameters > 1:
            return part.num_parameters
    return 0


def without_entries(part, kept):
    """Take the entries of channels that are not kept out of a part, in place."""
    import torch

    for name in ENTRIES:
        tensor = getattr(part, name, None)
        if tensor is None:
            continue
        left = tensor.detach()[torch.from_numpy(kept).to(tensor.device)].clone()
        if isinstance(tensor, torch.nn.Parameter):
            left = torch.nn.Parameter(left, requires_grad=tensor.requires_grad)
        setattr(part, name, left)
    setattr(part, "num_parameters" if type(part).__name__ == "PReLU" else "num_features", int(kept.sum()))


def _between(before, after, named):
    from torch import nn

    (first, own), (second, following) = before, after
    for name, part in (before, after):
        if getattr(part, "groups", 1) > 1:
            raise TypeError(f"{name!r} has {part.groups} groups, which tie channels together; they cannot go alone.")
    neurons = own.weight.shape[0]
    is_flat = isinstance(own, nn.Linear)
    for name, part in named:
        if type(part) is nn.Flatten and not is_flat and (part.start_dim, part.end_dim) == (1, -1):
            is_flat = True
            continue
        _check_part(name, part, first, is_flat)
    width, rest = divmod(_inputs(following), neurons)
    if is_flat != isinstance(following, nn.Linear) or rest or (isinstance(own, nn.Linear) and width != 1):
        raise TypeError(
            f"{second!r} ({type(following).__name__}, {_inputs(following)} inputs) does not read the {neurons} outputs of "
            f"{first!r} ({type(own).__name__}) one after the other; put nn.Flatten() between a convolution and a Linear."
        )
    for name, part in named:
        size = entries(part)
        if size and size not in {neurons, neurons * width}:
            raise TypeError(f"{name!r} has {size} entries for the {neurons} outputs of {first!r}; it is not theirs.")
    return Between(first, neurons, following, named, width)


def _inputs(part):
    return int(np.prod(part.weight.shape[1:]))


def _check_part(name, part, first, is_flat):
    kind = type(part).__name__
    if kind in ELEMENTWISE or kind == "PReLU":
        return
    if kind.startswith("BatchNorm") and kind in CARRIED:
        if part.running_mean is None:
            raise TypeError(
                f"{name!r} ({kind}) has no running mean: it ties samples together and is not carried along."
            )
        return
    if kind in OVER_PLACES and not is_flat:
        return
    raise TypeError(
        f"{name!r} ({kind}) after {first!r} is not known to act on each neuron or channel alone; activations, batch "
        "normalisation, and pooling before nn.Flatten() are, so that neurons and channels can be taken out."
    )


def _pads_with_zeros(part):
    """Whether a part mixes zeros into the edge of its input, or scales it: a constant is none after it."""
    kind = type(part).__name__
    if kind.startswith("ZeroPad"):
        return True
    if kind.startswith("AvgPool"):
        padded = bool(np.any(np.atleast_1d(part.padding))) and part.count_include_pad
        return padded or getattr(part, "divisor_override", None) is not None
    if not kind.startswith("Conv") or part.padding_mode != "zeros" or part.padding == "valid":
        return False
    return any(size > 1 for size in part.kernel_size) if part.padding == "same" else any(part.padding)


def _constant_after(part, current):
    """Constant of each channel after a part, of shape (neurons, inputs for each)."""
    from torch.nn import functional

    kind = type(part).__name__
    if kind in OVER_PLACES or kind == "Flatten":
        return current
    if kind == "PReLU" and not entries(part):
        return functional.prelu(current, part.weight.double())
    if not entries(part):
        return part(current.clone())
    width = entries(part) // len(current)
    row = current.expand(len(current), width).reshape(1, -1)
    doubles = {name: None if getattr(part, name, None) is None else getattr(part, name).double() for name in ENTRIES}
    if kind == "PReLU":
        row = functional.prelu(row, doubles["weight"])
    else:
        row = functional.batch_norm(
            row,
            doubles["running_mean"],
            doubles["running_var"],
            doubles["weight"],
            doubles["bias"],
            False,
            0.0,
            part.eps,
        )
    return row.reshape(len(current), width)
