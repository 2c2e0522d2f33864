"""Models of any library come in by one door, and what lies below the adapters names none of them."""

import subprocess
import sys

import numpy as np
import pytest

import sparseopt as so
from sparseopt import models
from sparseopt.pruning.networks import NumpyMLP


class Box:
    """A model of a library that sparseopt has never heard of."""

    def __init__(self, weight):
        self.weight = weight


class BoxDoor(models.ModelDoor):
    """It has one matrix."""

    def knows(self, model):
        return isinstance(model, Box)

    def adapt(self, model):
        return NumpyMLP([model.weight])


@pytest.fixture
def box(monkeypatch):
    monkeypatch.setattr(models, "_DOORS", [*models._DOORS])
    models.register(BoxDoor())
    return Box(np.array([[1.0, 0.0], [0.0, 2.0], [0.0, 0.0]]))


def test_another_library_registers_a_door_and_masks_know_its_models(box):
    mask = so.Mask.of(box)
    assert mask.kept == 2
    assert np.array_equal(mask.apply(box).weights[0], box.weight)


def test_what_a_library_does_not_offer_is_named_with_the_model(box):
    mask = so.Mask.of(box)
    for asked in (mask.hold, mask.to_torch_prune, mask.parametrize):
        with pytest.raises(TypeError, match="Box is"):
            asked(box)
    with pytest.raises(TypeError, match="Box cannot be changed in place"):
        so.prune(box, np.eye(3), sparsity=0.5, inplace=True)
    with pytest.raises(TypeError, match="Box is no estimator"):
        so.pruning.prune_features(box, np.eye(3), np.ones(3), keep=1)


def test_an_object_of_no_library_is_refused_with_what_is_taken():
    with pytest.raises(TypeError, match=r"object is no model that can be pruned; give a NumpyMLP"):
        so.Mask.of(object())


def test_doors_are_open_whatever_is_imported_first():
    """Importing any module runs the package first, which registers them."""
    code = "from sparseopt.models import adapt; print(type(adapt([[[1.0]]])).__name__)"
    assert (
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "NumpyMLP\n"
    )
