"""A module of PyTorch as a network of linear layers, whatever its forward pass does between them."""

from __future__ import annotations

import contextlib
import copy
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from sparseopt.adapters.torch import parts
from sparseopt.adapters.torch.chains import functions_between
from sparseopt.adapters.torch.connections import betweens, without_entries
from sparseopt.pruning.data import as_data
from sparseopt.pruning.networks import Layer, Link, Network, finite


def adapt(model) -> Network:
    """Return a module as `prune` sees it, and warn of weights that pruning does not reach."""
    from torch import nn

    if not isinstance(model, nn.Module):
        raise TypeError(f"{type(model).__name__} of torch is no nn.Module; give the module itself.")
    network = TorchNetwork(model)
    if network.left_out:
        warnings.warn(
            f"pruning leaves {len(network.left_out)} weights of {type(model).__name__} as they are: "
            f"{', '.join(network.left_out)}. Linear, Conv1d and Conv2d are pruned; "
            "TorchNetwork(module, only=...) chooses layers and says that you know.",
            UserWarning,
            stacklevel=3,
        )
    return network


@dataclass(frozen=True, eq=False, repr=False)
class TorchNetwork(Network):
    """A module whose Linear, Conv1d and Conv2d layers, wherever they are in it, are those of a network.

    The forward pass may be any that runs the samples of a batch, along the first axis, apart from each other;
    it is run in evaluation mode. The module that was given, its mode, its device and the random state stay
    as they are: a copy does the work. A layer is named as its module is; a convolution with several groups is
    several layers, `name[0]`, `name[1]` ... Masks and parametrisations of a layer become plain weights.

    Parameters
    ----------
    module : torch.nn.Module
    link : Link or its name, default=Link.IDENTITY
        What the outputs mean: "softmax" for scores or log probabilities of classes (CrossEntropyLoss, NLLLoss),
        "logistic" for log odds (BCEWithLogitsLoss).
    only : str or sequence of str, optional
        Names of the modules to prune, in the order in which they run; all linear layers and convolutions
        unless said, in the order in which they were registered.
    prepare : callable, optional
        Turns a batch of samples, an array of floats, into what the module takes: a tensor, or a tuple of
        arguments. Unless said, a tensor of the precision and on the device of the module's parameters.
    batch_size : int, default=1024
        Samples that run at a time, which bounds the memory of a pass.
    """

    module: Any
    link: Link = Link.IDENTITY
    only: Sequence[str] = ()
    prepare: Callable | None = None
    batch_size: int = 1024
    plain: Any = field(init=False)
    current: tuple[Layer, ...] = field(init=False)
    others: tuple[str, ...] = field(init=False)

    def __post_init__(self):
        if self.batch_size < 1:
            raise ValueError(f"batch_size is {self.batch_size}; give at least 1.")
        object.__setattr__(self, "link", Link(self.link))
        if type(self.module).__name__ in {"DataParallel", "DistributedDataParallel"}:
            raise TypeError(f"{type(self.module).__name__} runs copies of a module; give that itself, .module.")
        for name, parameter in self.module.named_parameters():
            if type(parameter).__name__.startswith("Uninitialized"):
                raise ValueError(f"{name} has no shape yet; run the module once before it is pruned.")
            if parameter.is_meta:
                raise ValueError(f"{name} has no data, on the device 'meta'; load the weights before it is pruned.")
        if isinstance(self.only, str):
            object.__setattr__(self, "only", (self.only,))
        plain = parts.plain(self.module).eval()
        maps, others = parts.linear_maps(plain)
        unknown = [name for name in self.only if name not in maps]
        if unknown or not maps:
            raise ValueError(
                f"{', '.join(map(repr, unknown)) or type(self.module).__name__} "
                f"{'is' if unknown else 'has'} no layer that can be pruned; the module has "
                f"{', '.join(map(repr, maps)) or 'none'}, and weights of other kinds: {', '.join(others) or 'none'}."
            )
        names = tuple(self.only) or tuple(maps)
        object.__setattr__(self, "only", names)
        object.__setattr__(self, "plain", plain)
        object.__setattr__(self, "others", (*others, *(f"{n}.weight (not chosen)" for n in maps if n not in names)))
        if empty := [name for name in names if maps[name].weight.numel() == 0]:
            raise ValueError(f"layer {empty[0]!r} has no weights, its shape is {tuple(maps[empty[0]].weight.shape)}.")
        layers = [layer for name in names for layer in parts.layers_of(name, maps[name])]
        for layer in layers:
            if not np.isfinite(layer.weight).all() or not (layer.bias is None or np.isfinite(layer.bias).all()):
                raise ValueError(f"layer {layer.name!r} holds NaN or infinity; give a module that works.")
        object.__setattr__(self, "current", tuple(layers))

    @property
    def left_out(self) -> tuple[str, ...]:
        """Weights that are in none of the layers, each with the kind of its part."""
        return self.others

    def layers(self) -> tuple[Layer, ...]:
        """Layers by the names of their modules."""
        return self.current

    def inputs(self, X):
        """Inputs of each layer on X, patches for a convolution; the passes run once, before the first layer."""
        X, seen = as_data(X), self._lists()
        for batch in self._batches(X):
            calls = {}  # in the order of the first calls

            def record(name, calls=calls):
                def hook(_part, arguments, named):
                    # A copy: what comes later may change the inputs in place.
                    calls.setdefault(name, []).append((arguments[0] if arguments else named["input"]).clone())

                return hook

            with self._hooked("register_forward_pre_hook", record), self._quiet(grad=False):
                self._forward(batch)
            self._check_order(tuple(calls))
            for name, inputs in calls.items():
                seen[name].append(inputs)
        for name in self.only:
            part = self._part(name)
            batches = seen.pop(name)
            array = np.concatenate([_joined([parts.rows(part, x) for x in calls]) for calls in batches])
            for layer, inputs in zip(parts.layer_names(name, part), _grouped(array, part), strict=True):
                yield finite(layer, inputs)

    def outputs(self, X) -> np.ndarray:
        """Outputs of the module, of shape (samples, outputs): all axes but the first are one."""
        outputs = []
        for batch in self._batches(as_data(X)):
            with self._quiet(grad=False):
                outputs.append(parts.numbers(self._forward(batch)))
        return np.concatenate(outputs)

    def slopes(self, X, seeds) -> list[np.ndarray]:
        """Slopes at the outputs of each layer, by automatic differentiation."""
        import torch

        X, slopes, done = as_data(X), self._lists(), 0
        for batch in self._batches(X):
            calls: dict[str, list] = {}

            def record(name, calls=calls):
                def hook(_part, _arguments, output):
                    output = output if output.requires_grad else output.requires_grad_()
                    calls.setdefault(name, []).append(output)
                    # What comes later works on a copy: it may do so in place.
                    return output.clone()

                return hook

            with self._hooked("register_forward_hook", record), self._quiet(grad=True):
                outputs = self._forward(batch)
                self._check_order(tuple(calls))
                seed = torch.tensor(np.ascontiguousarray(seeds[done : done + len(batch)])).to(outputs)
                flat = [output for name in self.only for output in calls[name]]
                found = torch.autograd.grad(outputs, flat, seed, materialize_grads=True)
            done, remaining = done + len(batch), iter(found)
            for name in self.only:
                part = self._part(name)
                slopes[name].append(_joined([parts.places(part, next(remaining)) for _ in calls[name]]))
        return [group for name in self.only for group in _grouped(np.concatenate(slopes[name]), self._part(name))]

    def reading(self, model) -> TorchNetwork:
        """Return another module by the same names, samples prepared and outputs meant in the same way."""
        return replace(self, module=model)

    def with_layers(self, layers) -> TorchNetwork:
        """Return a network with these layers; it shares the module's copy with this one."""
        network = copy.copy(self)
        object.__setattr__(network, "current", tuple(layers))
        return network

    def model(self):
        """Return a copy of the module, in its mode and on its device, with these layers."""
        import torch

        module = parts.duplicate(self.plain)
        modes = {name: part.training for name, part in self.module.named_modules()}
        for name, part in module.named_modules():
            part.training = modes[name]
        # Our passes through the copy may have changed what a module counts or averages.
        own = dict(module.named_buffers())
        for name, buffer in self.module.named_buffers():
            if name in own and own[name].shape == buffer.shape:
                own[name].detach().copy_(buffer)
        for key, tensor in self._tensors().items():
            owner, _, name = key.rpartition(".")
            part = module.get_submodule(owner)
            parameter = getattr(part, name)
            parameter.grad = None
            if tensor.shape == parameter.shape:
                parameter.data.copy_(tensor)
                continue
            setattr(part, name, torch.nn.Parameter(tensor.clone(), requires_grad=parameter.requires_grad))
            if name == "weight":
                sizes = ("out_features", "in_features") if tensor.ndim == 2 else ("out_channels", "in_channels")
                for size, number in zip(sizes, tensor.shape, strict=False):
                    setattr(part, size, number)
        return module

    def connections(self):
        """How the layers of an nn.Sequential are connected: fully connected ones, and convolutions without groups."""
        return tuple(between.connection() for between in betweens(self.plain, self.only))

    def smaller(self, layers, kept):
        """Return a module whose layers have fewer neurons or channels, with their entries of batch normalisations."""
        module = self.with_layers(layers).model()
        for i, between in enumerate(betweens(self.plain, self.only)):
            for name, width in between.carried() if i in kept else ():
                without_entries(module.get_submodule(name), np.repeat(kept[i], width))
        return module

    def native(self):
        """The module itself, in evaluation mode and without gradients."""
        import torch

        module = self.model().eval()

        def outputs(X):
            with torch.no_grad():
                return module(*self._arguments(X))

        return outputs

    def chain(self):
        """Functions between the layers of an nn.Sequential of linear layers and activations."""
        return functions_between(self.plain, self.only)

    def __repr__(self) -> str:
        return f"TorchNetwork({type(self.module).__name__}, {len(self.current)} layers, {self.link.name.lower()})"

    def _part(self, name):
        return self.plain.get_submodule(name)

    def _lists(self) -> dict[str, list]:
        return {name: [] for name in self.only}

    def _batches(self, X):
        return (X[start : start + self.batch_size] for start in range(0, len(X), self.batch_size))

    def _tensors(self):
        """Weights and biases of the layers by the names of the module's parameters."""
        import torch

        tensors, layers = {}, iter(self.current)
        for name in self.only:
            part, prefix = self._part(name), f"{name}." if name else ""
            mine = [next(layers) for _ in range(parts.groups(part))]
            arrays = {"weight": [layer.own(layer.weight) for layer in mine]}
            if part.bias is not None:
                arrays["bias"] = [layer.bias for layer in mine]
            for key, pieces in arrays.items():
                # Writable and of its own: torch warns of tensors on read-only memory.
                array = np.array(np.concatenate(pieces) if len(pieces) > 1 else pieces[0], order="C")
                tensors[prefix + key] = torch.from_numpy(array).to(getattr(part, key))
        return tensors

    def _arguments(self, batch) -> tuple:
        import torch

        if self.prepare is not None:
            arguments = self.prepare(batch)
            return arguments if isinstance(arguments, tuple) else (arguments,)
        like = next(parameter for parameter in self.plain.parameters() if parameter.is_floating_point())
        # A copy: the module may work in place on what it is given.
        return (torch.tensor(batch, dtype=like.dtype, device=like.device),)

    def _forward(self, batch):
        """Outputs of a batch, as a tensor of shape (samples, outputs)."""
        import torch

        try:
            outputs = torch.func.functional_call(self.plain, self._tensors(), self._arguments(batch))
        except torch.OutOfMemoryError:
            raise
        except (RuntimeError, ValueError, IndexError) as error:
            advice = (
                "give X with the samples along its first axis, as the module takes them, or where it takes something else than "
                "an array of floats say how to make that of one: TorchNetwork(module, prepare=...)."
                if self.prepare is None
                else "see what `prepare` makes of an array of floats."
            )
            raise ValueError(
                f"{type(self.module).__name__} does not take samples of shape {batch.shape[1:]}: {error}; {advice}"
            ) from error
        if not isinstance(outputs, torch.Tensor):
            raise TypeError(
                f"{type(self.module).__name__} gives {type(outputs).__name__}; wrap it in one that gives a tensor."
            )
        if not outputs.ndim or len(outputs) != len(batch):
            raise ValueError(
                f"{type(self.module).__name__} gives outputs of shape {tuple(outputs.shape)} for {len(batch)} samples; "
                "the samples must be along the first axis."
            )
        return outputs.reshape(len(outputs), -1)

    def _check_order(self, met):
        if met == self.only:
            return
        missing = [name for name in self.only if name not in met]
        if not met:
            raise ValueError(
                f"the forward pass of {type(self.module).__name__} reaches none of its layers; give the module as it was "
                "before it was compiled or wrapped, or TorchNetwork(module, only=...) with those that it runs."
            )
        fact = f"does not reach {', '.join(map(repr, missing))}" if missing else "runs its layers in another order"
        raise ValueError(
            f"the forward pass of {type(self.module).__name__} {fact}; "
            f"say which layers, as they run: TorchNetwork(module, only={met!r})."
        )

    @contextlib.contextmanager
    def _hooked(self, register, hook):
        """Hooks on all layers of the copy, for one pass."""
        options = {"with_kwargs": True} if register == "register_forward_pre_hook" else {}
        handles = [getattr(self._part(name), register)(hook(name), **options) for name in self.only]
        try:
            yield
        finally:
            for handle in handles:
                handle.remove()

    @contextlib.contextmanager
    def _quiet(self, *, grad):
        """A pass that leaves the random state as it was and draws the same numbers each time."""
        import torch

        devices = {parameter.device.index for parameter in self.plain.parameters() if parameter.device.type == "cuda"}
        # One by one: torch.manual_seed also looks for devices that are not there, which takes longer than a pass.
        generators = [torch.default_generator, *(torch.cuda.default_generators[i] for i in devices)]
        states = [generator.get_state() for generator in generators]
        for generator in generators:
            generator.manual_seed(0)
        try:
            # In inference mode, which a caller may be in, nothing has slopes.
            with torch.inference_mode(mode=False), torch.set_grad_enabled(grad):
                yield
        finally:
            for generator, state in zip(generators, states, strict=True):
                generator.set_state(state)


def _joined(calls):
    """Rows of all calls of a layer in one pass, sample by sample, as an array of two dimensions."""
    import torch

    samples = min(len(call) for call in calls)
    width = calls[0].shape[-1]
    joined = calls[0] if len(calls) == 1 else torch.cat([call.reshape(samples, -1, width) for call in calls], dim=1)
    return parts.numbers(joined.reshape(-1, width))


def _grouped(array, part):
    return np.split(array, parts.groups(part), axis=1) if parts.groups(part) > 1 else [array]
