"""Masks: which weights of a model are kept, as one boolean array per named weight."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import NamedTuple, Self

import numpy as np

from sparseopt.models import adapt, door_of
from sparseopt.reading import DAMAGES, check_path


class Count(NamedTuple):
    """How many weights an array of a mask keeps, and how many it has."""

    kept: int
    total: int


@dataclass(frozen=True, eq=False)
class Hold:
    """A mask held on a model that trains; `remove` ends it, and so does the end of a `with` block."""

    releases: tuple[Callable[[], None], ...] = field(repr=False)

    def remove(self) -> None:
        """Let the model train freely again; once or more often."""
        for release in self.releases:
            release()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exception) -> None:
        self.remove()


@dataclass(frozen=True, eq=False, repr=False)
class Mask(Mapping):
    """Kept weights: a mapping of names to read-only boolean arrays, True where the weight is kept.

    A mask never changes what it is applied to. `apply` returns new weights (or a new model), zero
    where the mask is False; `undo` fills those places again from the original:
    `mask.undo(mask.apply(w), w)` is `w`. Masks of the same weights combine by `&`, `|` and `~`.

    Parameters
    ----------
    arrays : mapping of str to boolean array
        At least one weight in all; the arrays are copied.
    """

    arrays: Mapping[str, np.ndarray]

    def __post_init__(self):
        if not isinstance(self.arrays, Mapping):
            raise TypeError(f"a mask takes a mapping of names to boolean arrays, not {type(self.arrays).__name__}.")
        copies = {name: _boolean(name, array) for name, array in self.arrays.items()}
        if not any(array.size for array in copies.values()):
            raise ValueError("the mask has no weights; give at least one boolean array that is not empty.")
        object.__setattr__(self, "arrays", MappingProxyType(copies))

    @classmethod
    def of(cls, solution, names=None, shape=None) -> Mask:
        """Return the support of a solution, or the mask that a model already has.

        Parameters
        ----------
        solution : Solution, array of shape (n_features,), or model that `prune` takes
            What is kept is where its `w` is not zero, or where the weights of the model are not. A layer of
            torch that torch.nn.utils.prune or `parametrize` has masked has the mask itself.
        names : str or sequence of str, default="w"
            One name, or one for each consecutive part of `w`.
        shape : tuple of int, or sequence of such tuples, optional
            Shape of the weight, or of each part; `w` is read in C order. Its own shape unless said.
        """
        w = solution if isinstance(solution, np.ndarray) else getattr(solution, "w", None)
        if not isinstance(w, np.ndarray):
            return cls(door_of(solution).mask_arrays(solution))
        if names is None or isinstance(names, str):
            names, shape = [names or "w"], [w.shape if shape is None else shape]
        shapes = [np.atleast_1d(part) for part in shape or ()]
        if not names or len(shapes) != len(names):
            raise ValueError(f"{len(names)} names and {len(shapes)} shapes; give a name, or one shape for each name.")
        ends = np.cumsum([math.prod(part) for part in shapes])
        if ends[-1] != w.size:
            raise ValueError(f"the solution has {w.size} weights, the shapes hold {ends[-1]}; mend the shapes.")
        parts = np.split(w.ravel() != 0, ends[:-1])
        return cls({name: part.reshape(form) for name, part, form in zip(names, parts, shapes, strict=True)})

    @property
    def counts(self) -> dict[str, Count]:
        """Kept and all weights, by name."""
        return {name: Count(int(array.sum()), array.size) for name, array in self.items()}

    @property
    def kept(self) -> int:
        """Number of kept weights."""
        return sum(count.kept for count in self.counts.values())

    @property
    def total(self) -> int:
        """Number of all weights."""
        return sum(count.total for count in self.counts.values())

    @property
    def density(self) -> float:
        """Kept over all weights."""
        return self.kept / self.total

    def apply(self, weights):
        """Return weights that are zero where the mask is False; what was given is untouched.

        Parameters
        ----------
        weights : mapping, sequence, array or model
            A mapping of names to arrays (names unknown to the mask pass as they are), a list or tuple
            of arrays in the mask's order, one array for a mask of one, or a model that `prune` takes.

        Returns
        -------
        of the same kind
            New arrays in a dict, list or tuple, one array, or a new model.
        """
        return self._merge(weights, None)

    def undo(self, weights, original):
        """Return `weights` with those that the mask had set to zero taken from `original`.

        Kept weights stay as they are now, so that what was learned after pruning is not lost.
        Both arguments are of one kind, one of those that `apply` takes.
        """
        arrays = (Mapping, list, tuple, np.ndarray)
        if isinstance(weights, arrays) != isinstance(original, arrays):
            raise TypeError(
                f"undo got {type(weights).__name__} and {type(original).__name__}; give both as arrays or both as models."
            )
        return self._merge(weights, original)

    def hold(self, model, optimizer=None) -> Hold:
        """Keep the dropped weights of a model at zero while it trains, in place, until the hold is removed.

        The dropped weights are set to zero at once. Neither momentum nor weight decay revives them:
        their slopes are zero in every step, and so are they after it.

        Parameters
        ----------
        model : torch.nn.Module, or MLPClassifier or MLPRegressor of scikit-learn
            Changed in place, and only as training would; parameters keep their names, and deep copies,
            pickles and state_dicts work as before. Of scikit-learn, `partial_fit` and `fit` are held,
            whatever the solver.
        optimizer : torch.optim.Optimizer
            For a module of torch: what trains it. A copy of the model has an optimizer of its own, and
            needs a hold of its own.

        Returns
        -------
        Hold
            With `.remove()`; also a context manager.
        """
        return door_of(model).hold(self, model, optimizer)

    def to_torch_prune(self, module):
        """Mask a module of torch in place through torch.nn.utils.prune, and return it.

        Each layer gets a parameter `weight_orig` and a buffer `weight_mask`, as `custom_from_mask` makes them, and
        `prune.remove(layer, "weight")` ends it. What fails with torch alone works here: the module can be
        copied deeply, and its `state_dict` has the keys of the plain module, which it loads and is loaded by.
        """
        return door_of(module).to_torch_prune(self, module)

    def parametrize(self, module):
        """Mask a module of torch in place through torch.nn.utils.parametrize, and return it.

        The weight of each layer is computed as the masked one, for any optimizer. Its `state_dict` has the keys
        of the plain module, which it loads and is loaded by; `parametrize.remove_parametrizations` ends it.
        """
        return door_of(module).parametrize(self, module)

    def _merge(self, weights, dropped):
        if not isinstance(weights, (Mapping, list, tuple, np.ndarray)):
            return self._merge_models(weights, dropped)
        named = self._named(weights)
        others = None if dropped is None else self._named(dropped)
        for name, kept in self.items():
            zero = np.zeros((), named[name].dtype)
            other = zero if others is None else others[name].astype(zero.dtype, copy=False)
            named[name] = np.where(kept, named[name], other)
        if isinstance(weights, Mapping):
            return named
        return named.popitem()[1] if isinstance(weights, np.ndarray) else type(weights)(named.values())

    def _merge_models(self, model, original):
        network = adapt(model)
        weights = self._weights_of(network)
        merged = self._merge(weights, None if original is None else self._weights_of(adapt(original)))
        # A mask of one weight fits a model of one layer, whatever the names.
        return network.replace(
            [layer.with_own(array) for layer, array in zip(network.layers(), merged.values(), strict=True)]
        )

    def _weights_of(self, network):
        layers = network.layers()
        if len(self) == len(layers) == 1:
            ((name, kept),) = self.items()
            own = layers[0].own(layers[0].weight)
            # The mask of a vector of coefficients fits a matrix of one row too.
            return {name: own.reshape(kept.shape) if kept.shape == (own.size,) else own}
        return {layer.name: layer.own(layer.weight) for layer in layers}

    def _named(self, weights) -> dict[str, np.ndarray]:
        """Copies of the given arrays by name, once they are known to fit."""
        if isinstance(weights, Mapping):
            named = {name: np.array(array) for name, array in weights.items()}
        else:
            arrays = [weights] if isinstance(weights, np.ndarray) else weights
            if len(arrays) != len(self):
                raise ValueError(f"the mask has {len(self)} arrays, {len(arrays)} were given; give one for each.")
            named = {name: np.array(array) for name, array in zip(self, arrays, strict=True)}
        for name, kept in self.items():
            if name not in named:
                raise ValueError(
                    f"the mask knows {name!r}, the weights do not; they have {', '.join(map(repr, named))}."
                )
            if named[name].shape != kept.shape:
                raise ValueError(
                    f"weight {name!r} has shape {named[name].shape}, its mask {kept.shape}; they must agree."
                )
        return named

    def __getitem__(self, name) -> np.ndarray:
        return self.arrays[name]

    def __iter__(self):
        return iter(self.arrays)

    def __len__(self) -> int:
        return len(self.arrays)

    def __and__(self, other) -> Mask:
        """Weights that both keep."""
        return self._combine(np.logical_and, other)

    def __or__(self, other) -> Mask:
        """Weights that either keeps."""
        return self._combine(np.logical_or, other)

    def __invert__(self) -> Mask:
        """Weights that this one drops."""
        return Mask({name: ~array for name, array in self.items()})

    def _combine(self, operation, other):
        if not isinstance(other, Mask):
            return NotImplemented
        if self.shapes != other.shapes:
            raise ValueError(f"{self!r} and {other!r} are masks of different weights; names and shapes must agree.")
        return Mask({name: operation(array, other[name]) for name, array in self.items()})

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Shape of each array, by name."""
        return {name: array.shape for name, array in self.items()}

    def __eq__(self, other) -> bool:
        """Whether both keep the same weights; the order of the names does not matter."""
        if not isinstance(other, Mask):
            return NotImplemented
        return self.shapes == other.shapes and all(np.array_equal(self[name], other[name]) for name in self)

    def __hash__(self) -> int:
        return hash(frozenset((name, array.shape, array.tobytes()) for name, array in self.items()))

    def __reduce__(self):
        # A read-only view of a dict does not pickle.
        return Mask, (dict(self.arrays),)

    def __repr__(self) -> str:
        parts = [f"{count.kept} of {count.total}" for count in self.counts.values()]
        shown = ", ".join(parts[:3]) + (", ..." if len(parts) > 3 else "")
        plural = "weight" if len(parts) == 1 else "weights"
        return f"Mask({len(parts)} {plural}, density {self.density:.2g}: {shown})"

    def save(self, path) -> None:
        """Write the mask to exactly this path, as an npz file without pickles."""
        # Positions and not names are the keys of the file: a name may be any text.
        check_path(path)
        arrays = {str(position): array for position, array in enumerate(self.values())}
        names = np.frombuffer(json.dumps(list(self)).encode(), np.uint8)
        with open(path, "wb") as file:  # noqa: PTH123, a path or a string
            np.savez_compressed(file, names=names, **arrays)

    @classmethod
    def load(cls, path) -> Mask:
        """Read what `save` wrote."""
        check_path(path)
        # Opened here, since numpy leaves a damaged file open.
        with open(path, "rb") as file:  # noqa: PTH123
            try:
                with np.load(file, allow_pickle=False) as stored:
                    names = json.loads(stored["names"].tobytes())
                    return cls({name: stored[str(position)] for position, name in enumerate(names)})
            except (*DAMAGES, KeyError, AttributeError) as error:
                raise ValueError(f"{path} holds no mask, or a damaged one; write it with Mask.save.") from error


def _boolean(name, array):
    if not isinstance(name, str):
        raise TypeError(f"{name!r} is no name of a weight; names are strings.")
    # not np.array at once, of whose copy a tensor of torch warns
    array = np.array(np.asarray(array))
    if array.dtype != bool:
        raise ValueError(f"the mask of {name!r} holds {array.dtype}; give booleans, such as weight != 0.")
    array.setflags(write=False)
    return array
