"""Doors to models: networks of our own, scikit-learn and PyTorch; the last two are imported with their first model."""

from __future__ import annotations

from sparseopt.models import ModelDoor, comes_from
from sparseopt.pruning.networks import Network, NumpyMLP


class NetworkDoor(ModelDoor):
    """Networks of ours or of a user, and lists of matrices."""

    def knows(self, model):
        """Networks, lists and tuples."""
        return isinstance(model, (Network, list, tuple))

    def adapt(self, model):
        """A list is a perceptron of matrices."""
        return model if isinstance(model, Network) else NumpyMLP(model)


class SklearnDoor(ModelDoor):
    """Linear models and perceptrons of scikit-learn, and for features any estimator."""

    def knows(self, model):
        """Estimators whose class derives from one of scikit-learn's, or that `sklearn.base.clone` takes all the same."""
        return comes_from(model, "sklearn") or hasattr(model, "get_params")

    def adapt(self, model):
        """Fitted linear models and perceptrons."""
        from sparseopt.adapters.sklearn import masks

        return masks.adapt(model)

    def hold(self, mask, model, optimizer):
        """Perceptrons, in `fit` and `partial_fit`."""
        from sparseopt.adapters.sklearn import masks

        return masks.hold(mask, model)

    def check_overwrite(self, model):
        """All of them can be changed."""

    def overwrite(self, model, new):
        """What was fitted changes."""
        vars(model).update(vars(new))
        return model

    def feature_pipeline(self, estimator, X, y, **options):
        """A `FeatureSelector` and a clone of the estimator."""
        from sklearn.base import clone
        from sklearn.pipeline import make_pipeline

        from sparseopt.adapters.sklearn.features import FeatureSelector

        return make_pipeline(FeatureSelector(estimator=estimator, **options), clone(estimator)).fit(X, y)


class TorchDoor(ModelDoor):
    """Modules of PyTorch."""

    def knows(self, model):
        """Whatever derives from a class of torch."""
        return comes_from(model, "torch")

    def adapt(self, model):
        """Modules with linear maps."""
        from sparseopt.adapters import torch

        return torch.adapt(model)

    def mask_arrays(self, model):
        """The mask that torch has of a layer, or its nonzero weights."""
        from sparseopt.adapters import torch

        return torch.mask_arrays(model)

    def hold(self, mask, model, optimizer):
        """In every step of the optimizer."""
        from sparseopt.adapters import torch

        return torch.hold(mask, model, optimizer)

    def to_torch_prune(self, mask, model):
        """Through torch.nn.utils.prune."""
        from sparseopt.adapters import torch

        return torch.to_torch_prune(mask, model)

    def parametrize(self, mask, model):
        """Through torch.nn.utils.parametrize."""
        from sparseopt.adapters import torch

        return torch.parametrize(mask, model)

    def check_overwrite(self, model):
        """All but those whose weights are computed from others."""
        from sparseopt.adapters.torch import masks

        masks.check_plain(model)

    def overwrite(self, model, new):
        """The state of the new module is loaded."""
        model.load_state_dict(new.state_dict())
        return model
