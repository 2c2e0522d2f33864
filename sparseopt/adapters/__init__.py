"""Adapters to other libraries; each module imports the one that it is named after."""

from sparseopt.pruning.networks import Network, NumpyMLP


def adapt(model) -> Network:
    """Return the model as `prune` sees it."""
    match model:
        case Network():
            return model
        case list() | tuple():
            return NumpyMLP(model)
    match library(model):
        case "sklearn":
            from sparseopt.adapters.sklearn import adapt as adapt_sklearn

            return adapt_sklearn(model)
        case "torch":
            from sparseopt.adapters.torch import adapt as adapt_torch

            return adapt_torch(model)
    raise TypeError(
        f"{type(model).__name__} is no model that can be pruned; give a NumpyMLP, a list of matrices, "
        "a linear model or MLP of scikit-learn, a module of torch, or a subclass of sparseopt.pruning.Network."
    )


def hold(mask, model, optimizer=None):
    """Keep what a mask drops at zero while the model trains."""
    match library(model):
        case "sklearn":
            from sparseopt.adapters.sklearn.masks import hold as hold_sklearn

            return hold_sklearn(mask, model)
        case "torch":
            from sparseopt.adapters.torch import hold as hold_torch

            return hold_torch(mask, model, optimizer)
    raise TypeError(
        f"{type(model).__name__} is not trained in place; give a module of torch and its optimizer, "
        "or an MLP of scikit-learn."
    )


def mask_of(model):
    """Return the mask that a model already has."""
    if library(model) == "torch":
        from sparseopt.adapters.torch import mask_of as mask_of_torch

        return mask_of_torch(model)
    from sparseopt.mask import Mask

    return Mask({layer.name: layer.own(layer.weight) != 0 for layer in adapt(model).layers()})


def library(model) -> str:
    """Return the library that a model comes from: sklearn, torch, or nothing."""
    names = {base.__module__.partition(".")[0] for base in type(model).__mro__}
    return next((name for name in ("sklearn", "torch") if name in names), "")
