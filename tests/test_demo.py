"""The main job, as a newcomer runs it."""

import json

import pytest

from sparseopt import cli


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    out = tmp_path_factory.mktemp("demo")
    assert cli.main(["demo", "--out", str(out)]) == 0
    return out


@pytest.fixture(scope="module")
def written(folder):
    return json.loads((folder / "report.json").read_text())


def test_the_demo_writes_its_pictures(folder):
    for name in ("path.png", "masks.png"):
        assert (folder / name).read_bytes().startswith(b"\x89PNG")


def test_every_row_has_a_certificate(written):
    assert len(written["rows"]) == 7
    assert all(row["certificate"] for row in written["rows"])


def test_every_point_of_the_path_is_proven(written):
    solutions = written["path"]["solutions"]
    assert len(solutions) == 50
    assert all(solution["certificate"]["relative_gap"] <= 1e-6 for solution in solutions)


def test_the_mask_keeps_eight_columns_and_lowers_the_test_error(written):
    subset = written["subset"]
    assert len(subset["coefficients"]) == 8
    assert subset["test_error_masked"] < subset["test_error_all_columns"]


def test_the_mixture_is_feasible_and_what_cvxpy_finds(written):
    mixture = written["simplex"]
    assert sum(mixture["coefficients"].values()) == pytest.approx(1, abs=1e-9)
    assert min(mixture["coefficients"].values()) > 0
    # Clarabel's default tolerance is 1e-8
    assert mixture["certificate"]["objective"] == pytest.approx(mixture["cvxpy_objective"], abs=2e-8)
    assert mixture["certificate"]["dual_residual"] <= 1e-9


def test_the_pruned_network_keeps_its_accuracy_longer_than_by_magnitude(written):
    for run in written["pruning"]["pruned"]:
        assert run["accuracy"]["layer-wise L0"] > run["accuracy"]["magnitude"]
    at_80 = written["pruning"]["pruned"][1]["accuracy"]["layer-wise L0"]
    assert at_80 > written["pruning"]["dense_accuracy"] - 0.03
