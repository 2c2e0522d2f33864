"""Adapters to other libraries; each module imports the one that it is named after."""

from sparseopt.adapters.doors import NetworkDoor, SklearnDoor, TorchDoor
from sparseopt.models import adapt, register

__all__ = ["adapt"]

# A network of one's own is known as such, whatever else it derives from.
for _door in (NetworkDoor(), SklearnDoor(), TorchDoor()):
    register(_door)
