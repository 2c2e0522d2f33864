"""What the tables of the benchmarks claim, from rows of races; the benchmarks are no part of the package."""

import importlib.util
from pathlib import Path

import pytest

FILE = Path(__file__).parents[1] / "benchmarks" / "standing.py"
spec = importlib.util.spec_from_file_location("standing", FILE)
standing = importlib.util.module_from_spec(spec)
spec.loader.exec_module(standing)


def row(dataset, solver, seconds, reached=1e-7):
    """A row of a race; one that has not reached its target has no seconds."""
    return {
        "dataset": dataset, "alpha": "max / 10", "target": 1e-6, "solver": solver, "reached": reached,
        "single run s": 3.0, "CPU s": seconds,
    }  # fmt: skip


RACES = [
    row("won", "sparseopt[default]", 1.0), row("won", "a", 2.0), row("won", "b", 3.0),
    row("lost", "sparseopt[default]", 2.0), row("lost", "a", 1.0), row("lost", "sparseopt[FISTA]", 0.5),
    row("alone", "sparseopt[default]", 1.0), row("alone", "a", None, 1e-3), row("alone", "b", None, 1e-4),
    row("missed", "sparseopt[default]", None, 1e-5), row("missed", "a", 1.0),
]  # fmt: skip


def test_score_counts_wins_losses_and_problems_that_one_side_alone_solves():
    found = standing.score(RACES)
    assert found["problems"] == 4
    assert found["both reach the target"] == 2
    assert found["ours is faster"] == 1
    assert found["ours alone reaches it"] == 1
    assert found["a peer alone reaches it"] == 1
    assert found["lowest times as fast"] == pytest.approx(0.5)
    assert found["where"].startswith("lost")


def test_where_no_peer_reaches_the_target_the_nearest_is_named_with_its_gap_and_seconds():
    problems = standing.problems(RACES)
    problem = next(problem for problem in problems if problem[0] == "alone")
    assert standing.compared(problem, problems[problem])["best peer"] == "none; b at 0.0001 after 3 s"


def test_a_race_of_one_method_compares_that_method():
    rows = [row("one", "sparseopt[FISTA]", 1.0), row("one", "copt FISTA", 4.0)]
    assert standing.score(rows)["lowest times as fast"] == pytest.approx(4.0)
