"""Training of what is left: gradient steps that never revive a pruned weight."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, replace

import numpy as np

from sparseopt.inputs import is_whole
from sparseopt.pruning.clock import Clock


class Training(ABC):
    """A way to fit the kept weights and the biases of a network; subclasses are frozen dataclasses of its knobs.

    `distil` is the weight of the divergence from the outputs that the model had before, the labels having the
    rest: 0 for labels alone, 1 for none. Without labels it is 1 whatever it says. `temperature` is that of the divergence,
    see `Distillation`.
    """

    distil: float
    temperature: float = 1.0

    @abstractmethod
    def fit(self, network, kept, X, objective, *, rng=None, clock=None):
        """Return the network fitted to the objective on X, with exact zeros wherever `kept` has them.

        Parameters
        ----------
        network : Network
        kept : list of boolean arrays, shaped as the weight of each layer
        X : array of shape (samples, inputs)
        objective : Objective
        rng : numpy Generator, optional
        clock : Clock, optional
            When its limit has passed, the network as it is by then is returned.
        """

    def session(self, network, X, objective, *, rng, clock, steps) -> Session:
        """A training in so many parts, between which weights are pruned: here a fit of its own in each."""
        return Repeated(self, X, objective, rng, clock)


class Session(ABC):
    """A training under way."""

    @abstractmethod
    def advance(self, network, kept):
        """Train the next part, from this network."""


@dataclass(frozen=True, eq=False)
class Repeated(Session):
    """A whole fit in each part."""

    training: Training
    X: np.ndarray
    objective: object
    rng: np.random.Generator
    clock: Clock

    def advance(self, network, kept):
        """Fit once more."""
        return self.training.fit(network, kept, self.X, self.objective, rng=self.rng, clock=self.clock)


def gradients(network, X, seeds) -> list[tuple[np.ndarray, np.ndarray | None]]:
    """Slope of sum(seeds * outputs(X)) in the weight and the bias of each layer, None where there is no bias."""
    found = []
    for layer, inputs, slopes in zip(network.layers(), network.inputs(X), network.slopes(X, seeds), strict=True):
        found.append((inputs.T @ slopes, None if layer.bias is None else slopes.sum(axis=0)))
    return found


@dataclass(frozen=True, kw_only=True)
class Stochastic(Training):
    """Gradient steps on batches; what each step is, `memory` and `move` say.

    Parameters
    ----------
    epochs : float, default=1
        Passes over the samples, all steps of a schedule together: they share them.
    batch_size : int, default=128
    learning_rate : float
    weight_decay : float, default=0
        Part of each kept weight that goes in a step, over the learning rate; biases have none
        (Loshchilov and Hutter, 2019).
    cosine : bool, default=True
        Let the learning rate fall to zero along a cosine, over all the epochs; constant otherwise.
    distil : float, default=0
        Weight of the divergence from the model's outputs before, in [0, 1]; 1 where there are no labels.
    """

    epochs: float = 1.0
    batch_size: int = 128
    learning_rate: float = 1e-3
    weight_decay: float = 0.0
    cosine: bool = True
    distil: float = 0.0

    def __post_init__(self):
        if not 0 < self.epochs < np.inf:
            raise ValueError(f"epochs is {self.epochs}; give a positive number.")
        if not (is_whole(self.batch_size) and self.batch_size >= 1):
            raise ValueError(f"batch_size is {self.batch_size!r}; give a whole number from 1.")
        if not 0 < self.learning_rate < np.inf:
            raise ValueError(f"learning_rate is {self.learning_rate}; give a positive number.")
        if not 0 <= self.weight_decay < np.inf:
            raise ValueError(f"weight_decay is {self.weight_decay}; give a number from 0.")
        if not 0 <= self.distil <= 1:
            raise ValueError(f"distil is {self.distil}; give a number from 0 to 1.")
        self.check()

    def check(self):
        """Raise where a knob of the subclass is wrong."""

    @abstractmethod
    def memory(self, parameter) -> list[np.ndarray]:
        """Arrays of the parameter's shape that a parameter carries from step to step, zero at first."""

    @abstractmethod
    def move(self, gradient, memory, t) -> np.ndarray:
        """Direction of step t, counted from 1, against which the parameter goes; changes `memory` in place."""

    def fit(self, network, kept, X, objective, *, rng=None, clock=None):
        """All epochs at once."""
        rng, clock = rng or np.random.default_rng(0), clock or Clock()
        return self.session(network, X, objective, rng=rng, clock=clock, steps=1).advance(network, kept)

    def session(self, network, X, objective, *, rng, clock, steps) -> Session:
        """One training over all steps, whose momentum and learning rate go on from step to step."""
        return Descent(self, X, objective, rng, clock, steps)


class Descent(Session):
    """Batches in a random order, and what the parameters carry from step to step."""

    def __init__(self, training, X, objective, rng, clock, steps):
        self.training, self.X, self.objective, self.rng, self.clock = training, X, objective, rng, clock
        size = min(training.batch_size, len(X))
        self.per_epoch = max(len(X) // size, 1)
        self.size = size
        self.total = max(round(training.epochs * self.per_epoch), 1)
        self.parts, self.part = steps, 0
        self.done = 0
        self.order = np.empty(0, np.int64)
        self.memory = None

    def advance(self, network, kept):
        """Train until the share of this part is done."""
        self.part += 1
        until = round(self.total * self.part / self.parts)
        layers = [
            replace(layer, weight=np.array(layer.weight), bias=None if layer.bias is None else np.array(layer.bias))
            for layer in network.layers()
        ]
        dropped = [~keep for keep in kept]
        self._forget(layers, dropped)
        while self.done < until and not self.clock.expired:
            try:
                # The arrays change in place; an adapter may have made others of them.
                self._step(network.with_layers(layers), layers, dropped)
            except ValueError as error:
                if self.done == 1:
                    raise
                # The first step went well, so that samples and targets are sound.
                raise ValueError(
                    f"the training diverged in its step {self.done}: {error}; lower the learning_rate of {self.training!r}."
                ) from error
        return network.with_layers(layers)

    def _forget(self, layers, dropped):
        """Nothing is left of the momentum of pruned weights."""
        if self.memory is None:
            start = self.training.memory
            self.memory = [(start(layer.weight), None if layer.bias is None else start(layer.bias)) for layer in layers]
        for layer, (memory, _), drop in zip(layers, self.memory, dropped, strict=True):
            for array in (layer.weight, *memory):
                array[drop] = 0

    def _step(self, network, layers, dropped):
        training = self.training
        if self.order.size == 0:
            self.order = self.rng.permutation(len(self.X))[: self.per_epoch * self.size]
        rows, self.order = self.order[: self.size], self.order[self.size :]
        rate = training.learning_rate
        if training.cosine:
            rate *= 0.5 * (1 + np.cos(np.pi * self.done / self.total))
        self.done += 1
        batch = self.X[rows]
        # Whatever overflows is told here, in words.
        with np.errstate(over="ignore", invalid="ignore"):
            value, seeds = self.objective[rows].value_and_seeds(network.outputs(batch))
            if not np.isfinite(value):
                raise ValueError(f"the loss is {value}")
            found = gradients(network, batch, seeds)
        for layer, drop, (weight, bias), (of_weight, of_bias) in zip(layers, dropped, found, self.memory, strict=True):
            weight[drop] = 0
            move = training.move(weight, of_weight, self.done)
            if training.weight_decay:
                move += training.weight_decay * layer.weight
            layer.weight[...] -= rate * move
            # Also where rounding or a strange rule of steps would leave something.
            layer.weight[drop] = 0
            if bias is not None:
                layer.bias[...] -= rate * training.move(bias, of_bias, self.done)


@dataclass(frozen=True, kw_only=True)
class SGD(Stochastic):
    """Stochastic gradient descent with momentum; the other knobs are those of `Adam`.

    Parameters
    ----------
    momentum : float, default=0.9
    """

    learning_rate: float = 0.05
    momentum: float = 0.9

    def check(self):
        """The momentum is in [0, 1)."""
        if not 0 <= self.momentum < 1:
            raise ValueError(f"momentum is {self.momentum}; give a number from 0, below 1.")

    def memory(self, parameter):
        """The velocity."""
        return [np.zeros_like(parameter)]

    def move(self, gradient, memory, t):
        """Velocity after the gradient."""
        (velocity,) = memory
        velocity *= self.momentum
        velocity += gradient
        return velocity.copy()


@dataclass(frozen=True, kw_only=True)
class Adam(Stochastic):
    """Adam (Kingma and Ba, 2015): steps of one size in every direction.

    Parameters
    ----------
    epochs : float, default=1
        Passes over the samples, all steps of a schedule together: they share them.
    batch_size : int, default=128
    learning_rate : float, default=1e-3
    weight_decay : float, default=0
        Decoupled from the gradient (Loshchilov and Hutter, 2019); biases have none.
    cosine : bool, default=True
        Let the learning rate fall to zero along a cosine, over all the epochs; constant otherwise.
    distil : float, default=0
        Weight of the divergence from the model's outputs before, in [0, 1]; 1 where there are no labels.
    beta1, beta2 : float, defaults=0.9, 0.999
        Memory of the mean gradient and of its square.
    """

    beta1: float = 0.9
    beta2: float = 0.999

    def check(self):
        """The memories are in [0, 1)."""
        if not (0 <= self.beta1 < 1 and 0 <= self.beta2 < 1):
            raise ValueError(f"beta1, beta2 are {self.beta1}, {self.beta2}; give numbers from 0, below 1.")

    def memory(self, parameter):
        """Mean gradient and mean square."""
        return [np.zeros_like(parameter), np.zeros_like(parameter)]

    def move(self, gradient, memory, t):
        """Mean gradient over the root of the mean square, each freed of its start at zero."""
        mean, square = memory
        mean += (1 - self.beta1) * (gradient - mean)
        square += (1 - self.beta2) * (gradient**2 - square)
        root = np.sqrt(square / (1 - self.beta2**t))
        root += 1e-8
        return mean / ((1 - self.beta1**t) * root)


@dataclass(frozen=True, kw_only=True)
class GradientDescent(Training):
    """Steps along the gradient on all samples, whose length grows while they help and is halved where not.

    Parameters
    ----------
    iterations : int, default=100
        In each step of a schedule.
    learning_rate : float, default=0.1
        Length at first, over that of the gradient.
    distil : float, default=0
        Weight of the divergence from the model's outputs before, in [0, 1]; 1 where there are no labels.
    """

    iterations: int = 100
    learning_rate: float = 0.1
    distil: float = 0.0

    def __post_init__(self):
        if not (is_whole(self.iterations) and self.iterations >= 1):
            raise ValueError(f"iterations is {self.iterations!r}; give a whole number from 1.")
        if not 0 < self.learning_rate < np.inf:
            raise ValueError(f"learning_rate is {self.learning_rate}; give a positive number.")
        if not 0 <= self.distil <= 1:
            raise ValueError(f"distil is {self.distil}; give a number from 0 to 1.")

    def fit(self, network, kept, X, objective, *, rng=None, clock=None):
        """Descend until the iterations are over, or no step helps."""
        clock, rate = clock or Clock(), self.learning_rate
        network = _moved(network, kept, None, 0.0)
        value, seeds = objective.value_and_seeds(network.outputs(X))
        for _ in range(self.iterations):
            found = gradients(network, X, seeds)
            square = sum(
                float(np.sum(weight[keep] ** 2)) + (0.0 if bias is None else float(bias @ bias))
                for keep, (weight, bias) in zip(kept, found, strict=True)
            )
            while True:
                trial = _moved(network, kept, found, rate)
                new_value, new_seeds = objective.value_and_seeds(trial.outputs(X))
                if clock.expired or rate * square <= 1e-12 * abs(value):
                    return trial if new_value < value else network
                # Armijo's condition
                if new_value <= value - 0.25 * rate * square:
                    break
                rate /= 2
            network, value, seeds, rate = trial, new_value, new_seeds, 2 * rate
        return network


def _moved(network, kept, found, rate):
    """The network after a step against the gradients, zero where it is not kept."""
    layers = []
    for i, (layer, keep) in enumerate(zip(network.layers(), kept, strict=True)):
        weight, bias = layer.weight, layer.bias
        if found is not None:
            weight = weight - rate * found[i][0]
            bias = bias if bias is None else (bias - rate * found[i][1]).astype(bias.dtype, copy=False)
        layers.append(replace(layer, weight=np.where(keep, weight, 0).astype(layer.weight.dtype), bias=bias))
    return network.with_layers(layers)
