"""What the table of repeated folds claims of a difference; the benchmarks are no part of the package."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest

FILE = Path(__file__).parents[1] / "benchmarks" / "pruning_features" / "repeated.py"


@pytest.fixture(scope="module")
def repeated():
    """The module, without the package around it."""
    spec = importlib.util.spec_from_file_location("repeated", FILE)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_more_repeats_of_the_same_folds_do_not_make_a_difference_sure(repeated):
    """Other folds of the same samples are no other samples: that error has a floor, sqrt(1 / (folds - 1)) deviations."""
    gaps = np.tile([0.3, -0.1, 0.2, 0.0, 0.1], 1000)
    found = repeated.difference(gaps, 5)
    assert found["difference"] == pytest.approx(0.1)
    assert found["+- of the folds"] == pytest.approx(0, abs=1e-12)
    assert found["+- of the samples"] > np.std(gaps) / 2
    assert found["beyond two"] == ""


def test_a_difference_in_all_folds_is_told_with_its_side(repeated):
    gaps = np.array([0.30, 0.31, 0.29, 0.32, 0.28] * 2)
    assert repeated.difference(gaps, 5)["beyond two"] == "higher"
    assert repeated.difference(-gaps, 5)["beyond two"] == "lower"


def test_counts_hold_every_row_of_a_peer(repeated):
    """An equal error counts as at most the peer's, and what is sure of the samples has a side."""
    gaps = ([0.0] * 10, [0.3, 0.31] * 5, [-0.3, 0.4] * 5)
    rows = [{"peer": "another"} | repeated.difference(np.array(gap), 5) for gap in gaps]
    (found,) = repeated.counted(rows)["what it says"]
    assert (found["rows"], found["at most its error"], found["higher"]) == (3, 1, 2)
    assert (found["higher by two of the samples"], found["lower by two of the samples"]) == (1, 0)
