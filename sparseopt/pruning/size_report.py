"""What pruning has really saved: weights, multiplications, bytes and measured time, and where there is no gain."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from sparseopt.models import adapt
from sparseopt.pruning.data import as_data
from sparseopt.pruning.exporting import SparseNetwork
from sparseopt.pruning.shrinking import shrink


@dataclass(frozen=True)
class Form:
    """One form of the pruned model.

    Attributes
    ----------
    name : str
        "masked" (dense, with zeros), "shrunk" (dense, without its dead neurons) or "sparse" (CSR).
    weights : int
        Numbers that are stored for the weights, zeros among them if the form is dense.
    multiply_adds : int
        Multiplications of a weight per sample; those at all places for a convolution.
    nbytes : int
        Of weights, their places and biases.
    int8_nbytes : int
        The same with a byte for each weight and a scale for each neuron; places and biases as they are.
    seconds_one, seconds_all : float
        Time for one sample, and for all of X in one call: the least CPU time of several calls. NaN where
        it was not measured.
    """

    name: str
    weights: int
    multiply_adds: int
    nbytes: int
    int8_nbytes: int
    seconds_one: float
    seconds_all: float


@dataclass(frozen=True)
class SizeReport:
    """Forms of a pruned model beside each other; the first is the model with its zeros."""

    forms: tuple[Form, ...]
    samples: int
    kept: int
    total: int
    notes: tuple[str, ...]

    def __getitem__(self, name) -> Form:
        """Form of this name."""
        return next(form for form in self.forms if form.name == name)

    def __str__(self) -> str:
        lines = [
            f"{self.kept} of {self.total} weights kept",
            (
                f"{'form':8}{'weights':>12}{'mult-adds':>12}{'bytes':>12}{'int8 bytes':>12}{'one sample':>12}"
                f"{f'{self.samples} samples':>15}"
            ),
        ]
        for form in self.forms:
            one, many = (
                "" if math.isnan(seconds) else f"{1e6 * seconds:.0f} us"
                for seconds in (form.seconds_one, form.seconds_all)
            )
            lines.append(
                f"{form.name:8}{form.weights:12}{form.multiply_adds:12}{form.nbytes:12}{form.int8_nbytes:12}"
                f"{one:>12}{many:>15}"
            )
        return "\n".join((*lines, *self.notes))


def size_report(model, mask=None, X=None, *, seconds=0.1) -> SizeReport:
    """Measure a pruned model in each form that it can take: with zeros, shrunk, and sparse.

    All forms run in NumPy and SciPy, but for a module of torch, whose masked and shrunk forms run in torch.
    A gain is only called one where it was measured.

    Parameters
    ----------
    model : model that `prune` takes
    mask : Mask, optional
        Applied first.
    X : array of shape (samples, inputs), optional
        Samples to time the forms on; without them nothing is timed, and convolutions count as for one place.
    seconds : float, default=0.1
        Time to spend on each measurement.
    """
    masked = model if mask is None else mask.apply(model)
    network = adapt(masked)
    X = None if X is None else as_data(X, network.feature_names)
    notes = [f"left as it is: {name}" for name in network.left_out]
    forms = [_dense("masked", network, X, seconds)]
    for name, measured in (
        ("shrunk", lambda: _dense("shrunk", adapt(shrink(network)), X, seconds)),
        ("sparse", lambda: _sparse(SparseNetwork.of(network), X, seconds)),
    ):
        try:
            forms.append(measured())
        except TypeError as error:
            notes.append(f"not {name}: {error}")
    kept = sum(int(np.count_nonzero(layer.weight)) for layer in network.layers())
    samples = 0 if X is None else len(X)
    return SizeReport(tuple(forms), samples, kept, forms[0].weights, (*notes, *_comparisons(forms, samples)))


def _dense(name, network, X, seconds):
    layers = network.layers()
    sizes = [layer.weight.size for layer in layers]
    places = [1] * len(layers) if X is None else [len(inputs) for inputs in network.inputs(X[:1])]
    biases = sum(layer.bias.nbytes for layer in layers if layer.bias is not None)
    scales = sum(layer.weight.shape[1] * layer.weight.itemsize for layer in layers)
    return Form(
        name,
        sum(sizes),
        sum(size * place for size, place in zip(sizes, places, strict=True)),
        sum(layer.weight.nbytes for layer in layers) + biases,
        sum(sizes) + scales + biases,
        *_times(network.native(), X, seconds),
    )


def _sparse(network, X, seconds):
    values = sum(weight.data.nbytes for weight in network.weights)
    scales = sum(weight.shape[0] * weight.dtype.itemsize for weight in network.weights)
    int8 = network.nbytes - values + network.kept + scales
    times = _times(network.unchecked, X, seconds)
    return Form("sparse", network.kept, network.kept, network.nbytes, int8, *times)


def _times(outputs: Callable, X, seconds):
    if X is None:
        return math.nan, math.nan
    return tuple(_least(lambda data=data: outputs(data), seconds) for data in (X[:1], X))


def _least(call, seconds):
    call()
    least, end = math.inf, time.perf_counter() + seconds
    while time.perf_counter() < end:
        # CPU time: what else runs on the machine does not count. Calls of a few microseconds are timed together.
        start, calls, spent = time.process_time(), 0, 0.0
        while spent < 1e-3:
            call()
            calls += 1
            spent = time.process_time() - start
        least = min(least, spent / calls)
    return least


def _comparisons(forms, samples):
    """Sentences on each form against the masked one, gain or not."""
    masked = forms[0]
    for form in forms[1:]:
        if form.name == "shrunk" and form.weights == masked.weights:
            yield "shrunk: no neuron is dead, the dense model stays as it is."
            continue
        ratio = masked.nbytes / form.nbytes
        yield f"{form.name}: " + (f"{ratio:.1f} times smaller." if ratio > 1 else "not smaller, places cost bytes too.")
        if not samples:
            continue
        for text, before, after in (
            ("for one sample", masked.seconds_one, form.seconds_one),
            (f"for {samples} samples", masked.seconds_all, form.seconds_all),
        ):
            ratio = before / after
            yield f"{form.name}: " + (
                f"{ratio:.1f} times faster {text}."
                if ratio > 1.05
                else f"no gain in time {text}: {1 / ratio:.1f} times as long."
            )
