"""One call of a kernel looks at the data of a little quadratic program; it must let pass what numpy's looks let pass."""

import numpy as np
import pytest

import sparseopt as so
from sparseopt import inputs

P, M = 6, 3


def parts():
    """Sound data: Q, c, A, the sides of its rows, and bounds."""
    random = np.random.default_rng(3)
    F, A = random.standard_normal((P, P)), random.standard_normal((M, P))
    Q = F @ F.T
    side, bound = random.random(M), random.random(P)
    return {
        "Q": (Q + Q.T) / 2, "c": random.standard_normal(P), "A": A, "row_lower": -side, "row_upper": side,
        "lower": -bound, "upper": bound,
    }  # fmt: skip


def program(Q, c, A, row_lower, row_upper, lower, upper):
    """The problem of these data."""
    rows, box = so.LinearConstraint(A, row_lower, row_upper), so.Box(lower, upper)
    return so.Problem(so.Quadratic(Q, c), constraint=so.Intersection(rows, box))


def outcome(data):
    """The arrays that a problem keeps, or the words with which it is refused."""
    try:
        made = program(**data)
    except (ValueError, TypeError) as fault:
        return str(fault)
    rows, box = made.constraint.parts
    arrays = made.loss.Q.matrix, made.loss.c, rows.A, rows.lower, rows.upper, box.lower, box.upper
    return [(array.shape, array.dtype, array.tobytes("F"), np.signbit(array).tobytes()) for array in arrays]


def without_kernels(monkeypatch):
    """Let numpy look at everything."""
    monkeypatch.setattr(inputs, "_LITTLE", 0)
    monkeypatch.setattr(inputs, "_FEW_SIDES", 0)


def entries():
    """A place in each array, and a number to put there."""
    numbers = (np.nan, np.inf, -np.inf, 1e80, -1e80, 1e-80, -5.0, 5.0, -0.0)
    for name, array in parts().items():
        for place in {(0,) * array.ndim, (array.shape[0] - 1,) * array.ndim}:
            for number in numbers:
                yield name, place, number


@pytest.mark.parametrize(("name", "place", "number"), list(entries()))
def test_the_quick_look_and_numpys_say_the_same(name, place, number, monkeypatch):
    data = parts()
    data[name][place] = number
    quick = outcome(data)
    without_kernels(monkeypatch)
    assert outcome(data) == quick


@pytest.mark.parametrize("name", list(parts()))
@pytest.mark.parametrize("number", [0.0, 1e-80, 1e80, np.nan])
def test_they_do_so_of_arrays_of_one_number(name, number, monkeypatch):
    """Columns of zeros are sound, and columns of tiny numbers are not."""
    data = parts()
    data[name][:] = number
    quick = outcome(data)
    without_kernels(monkeypatch)
    assert outcome(data) == quick


LENT = {
    "by columns": np.asfortranarray,
    "strided": lambda array: np.repeat(np.repeat(array, 2, axis=0), 2, axis=-1)[::2, ::2] if array.ndim == 2 else np.repeat(array, 2)[::2],
    "single": lambda array: array.astype(np.float32),
    "other bytes": lambda array: array.astype(">f8"),
    "list": np.ndarray.tolist,
    "too long": lambda array: np.concatenate([array, array]),
    "empty": lambda array: array[:0],
    "transposed": lambda array: array.T[None] if array.ndim == 1 else array.T[:, :2],
}  # fmt: skip


@pytest.mark.parametrize("name", list(parts()))
@pytest.mark.parametrize("way", list(LENT))
def test_they_do_so_of_all_that_is_lent(name, way, monkeypatch):
    data = parts()
    data[name] = LENT[way](data[name])
    quick = outcome(data)
    without_kernels(monkeypatch)
    assert outcome(data) == quick


@pytest.mark.parametrize("order", ["C", "F"])
def test_what_may_not_be_written_is_taken(order):
    data = {name: np.array(array, order=order) for name, array in parts().items()}
    expected = outcome(data)
    for array in data.values():
        array.flags.writeable = False
    assert outcome(data) == expected


def test_sides_are_copies_that_nobody_writes_to():
    data = parts()
    rows = so.LinearConstraint(data["A"], data["row_lower"], data["row_upper"])
    box = so.Box(data["lower"], data["upper"])
    for kept, name in (
        (rows.lower, "row_lower"),
        (rows.upper, "row_upper"),
        (box.lower, "lower"),
        (box.upper, "upper"),
    ):
        assert not kept.flags.writeable
        before = kept.copy()
        data[name][:] = 9.0
        assert np.array_equal(kept, before)


def test_two_boxes_meet_in_a_little_program():
    """The bounds of the first one are not those of both."""
    data = parts()
    problem = program(**data)
    tighter = so.Box(-0.01, np.full(P, 0.02))
    both = so.Problem(problem.loss, constraint=so.Intersection(*problem.constraint.parts, tighter))
    w = so.solve(both).require(gap=1e-6).w
    assert w.min() >= -0.01 - 1e-8
    assert w.max() <= 0.02 + 1e-8
