"""Models of other libraries as masks and pruning ask for them: one door for each library, opened by its adapter.

What lies below the adapters names none of them: it asks `door_of`. The adapters register their doors when `sparseopt`
is imported, before anything can be asked; the library itself is imported when its first model comes.
"""

from __future__ import annotations

from abc import ABC, abstractmethod


class ModelDoor(ABC):
    """All that is asked of models of one library; what one does not offer says so."""

    @abstractmethod
    def knows(self, model) -> bool:
        """Whether the model is one of this library's."""

    @abstractmethod
    def adapt(self, model):
        """Return the model as a `sparseopt.pruning.Network`."""

    def mask_arrays(self, model) -> dict:
        """Return what the model keeps, by name of the weight: where a weight is not zero, unless it has a mask."""
        return {layer.name: layer.own(layer.weight) != 0 for layer in self.adapt(model).layers()}

    def hold(self, mask, model, optimizer):
        """Keep what a mask drops at zero while the model trains; returns a `Hold`."""
        raise TypeError(
            f"{type(model).__name__} is not trained in place; give a module of torch and its optimizer, "
            "or an MLP of scikit-learn."
        )

    def to_torch_prune(self, mask, model):
        """Mask a module in place through torch.nn.utils.prune."""
        raise TypeError(f"{type(model).__name__} is no module of torch; Mask.apply masks a copy of it.")

    def parametrize(self, mask, model):
        """Mask a module in place through torch.nn.utils.parametrize."""
        raise TypeError(f"{type(model).__name__} is no module of torch; Mask.apply masks a copy of it.")

    def check_overwrite(self, model):
        """Raise where `overwrite` would."""
        raise TypeError(f"{type(model).__name__} cannot be changed in place; take the new one, `.model` of the result.")

    def overwrite(self, model, new):
        """Give the model the weights of `new`, a model of the same kind; returns it."""
        self.check_overwrite(model)

    def feature_pipeline(self, estimator, X, y, **options):
        """Return a pipeline fitted on few features, of a selector and a clone of the estimator."""
        raise TypeError(f"{type(estimator).__name__} is no estimator of scikit-learn.")


_DOORS: list[ModelDoor] = []


def register(door: ModelDoor) -> None:
    """Add a door; the first one that knows a model is asked."""
    _DOORS.append(door)


def door_of(model) -> ModelDoor:
    """Return the door of the library that a model comes from."""
    for door in _DOORS:
        if door.knows(model):
            return door
    raise TypeError(
        f"{type(model).__name__} is no model that can be pruned; give a NumpyMLP, a list of matrices, "
        "a linear model or MLP of scikit-learn, a module of torch, or a subclass of sparseopt.pruning.Network."
    )


def adapt(model):
    """Return the model as `prune` sees it, a `sparseopt.pruning.Network`."""
    return door_of(model).adapt(model)


def comes_from(model, library: str) -> bool:
    """Whether a class of the model is one of this top-level module's."""
    return any(base.__module__.partition(".")[0] == library for base in type(model).__mro__)
