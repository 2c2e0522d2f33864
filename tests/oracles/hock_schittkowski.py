"""Test examples of nonlinear programming (Hock and Schittkowski, 1981), and Rosenbrock's valley within constraints.

Derivatives are exact, by complex steps (Squire and Trapp, 1998). `best` is the published optimal value, None where the
problem is ours. The first group has seen the choice of the solver's constants, the second has not.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy import exp, log, sin, sqrt

inf = np.inf


@dataclass(frozen=True, eq=False)
class Example:
    """minimise objective(x) subject to lower <= values(x) <= upper for each constraint, and x in a box."""

    name: str
    objective: object
    start: np.ndarray
    best: float | None
    constraints: tuple
    lower: np.ndarray
    upper: np.ndarray
    #: Whether constants of the solver were chosen with a look at it.
    is_seen: bool


def slopes(fun, x):
    """Jacobian of fun at x, one row a value."""
    columns = []
    for j in range(x.size):
        moved = x.astype(complex)
        moved[j] += 1e-30j
        columns.append(np.imag(np.atleast_1d(fun(moved))) / 1e-30)
    return np.array(columns).T


def row(*values):
    """Values as a vector, complex where one is."""
    return np.array(values)


def rosenbrock(x):
    """Rosenbrock's (1960) valley in any dimension."""
    return (100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2).sum()


EXAMPLES = {}


def add(name, objective, start, best, constraints=(), lower=-inf, upper=inf, *, is_seen=True):
    """Note an example."""
    start = np.array(start, dtype=float)
    bounds = [np.broadcast_to(np.array(bound, dtype=float), start.size).copy() for bound in (lower, upper)]
    EXAMPLES[name] = Example(name, objective, start, best, tuple(constraints), *bounds, is_seen)


add("HS6", lambda x: (1 - x[0]) ** 2, [-1.2, 1], 0.0, [(lambda x: row(10 * (x[1] - x[0] ** 2)), 0, 0)])
add(
    "HS7",
    lambda x: log(1 + x[0] ** 2) - x[1],
    [2, 2],
    -sqrt(3),
    [(lambda x: row((1 + x[0] ** 2) ** 2 + x[1] ** 2 - 4), 0, 0)],
)
add("HS8", lambda x: 0 * x[0] - 1, [2, 1], -1.0, [(lambda x: row(x[0] ** 2 + x[1] ** 2 - 25, x[0] * x[1] - 9), 0, 0)])
add(
    "HS10",
    lambda x: x[0] - x[1],
    [-10, 10],
    -1.0,
    [(lambda x: row(-3 * x[0] ** 2 + 2 * x[0] * x[1] - x[1] ** 2 + 1), 0, inf)],
)
add(
    "HS11",
    lambda x: (x[0] - 5) ** 2 + x[1] ** 2 - 25,
    [4.9, 0.1],
    -8.498464223,
    [(lambda x: row(-(x[0] ** 2) + x[1]), 0, inf)],
)
add(
    "HS12",
    lambda x: 0.5 * x[0] ** 2 + x[1] ** 2 - x[0] * x[1] - 7 * x[0] - 7 * x[1],
    [0, 0],
    -30.0,
    [(lambda x: row(25 - 4 * x[0] ** 2 - x[1] ** 2), 0, inf)],
)
add(
    "HS14",
    lambda x: (x[0] - 2) ** 2 + (x[1] - 1) ** 2,
    [2, 2],
    9 - 2.875 * sqrt(7),
    [(lambda x: row(-0.25 * x[0] ** 2 - x[1] ** 2 + 1), 0, inf), (lambda x: row(x[0] - 2 * x[1] + 1), 0, 0)],
)
add(
    "HS26",
    lambda x: (x[0] - x[1]) ** 2 + (x[1] - x[2]) ** 4,
    [-2.6, 2, 2],
    0.0,
    [(lambda x: row((1 + x[1] ** 2) * x[0] + x[2] ** 4 - 3), 0, 0)],
)
add(
    "HS27",
    lambda x: 0.01 * (x[0] - 1) ** 2 + (x[1] - x[0] ** 2) ** 2,
    [2, 2, 2],
    0.04,
    [(lambda x: row(x[0] + x[2] ** 2 + 1), 0, 0)],
)
add(
    "HS28",
    lambda x: (x[0] + x[1]) ** 2 + (x[1] + x[2]) ** 2,
    [-4, 1, 1],
    0.0,
    [(lambda x: row(x[0] + 2 * x[1] + 3 * x[2] - 1), 0, 0)],
)
add(
    "HS29",
    lambda x: -x[0] * x[1] * x[2],
    [1, 1, 1],
    -16 * sqrt(2),
    [(lambda x: row(-(x[0] ** 2) - 2 * x[1] ** 2 - 4 * x[2] ** 2 + 48), 0, inf)],
)
add(
    "HS30",
    lambda x: x[0] ** 2 + x[1] ** 2 + x[2] ** 2,
    [1, 1, 1],
    1.0,
    [(lambda x: row(x[0] ** 2 + x[1] ** 2 - 1), 0, inf)],
    [1, -10, -10],
    [10, 10, 10],
)
add(
    "HS39",
    lambda x: -x[0],
    [2, 2, 2, 2],
    -1.0,
    [(lambda x: row(x[1] - x[0] ** 3 - x[2] ** 2, x[0] ** 2 - x[1] - x[3] ** 2), 0, 0)],
)
add(
    "HS40",
    lambda x: -x[0] * x[1] * x[2] * x[3],
    [0.8] * 4,
    -0.25,
    [(lambda x: row(x[0] ** 3 + x[1] ** 2 - 1, x[0] ** 2 * x[3] - x[2], x[3] ** 2 - x[1]), 0, 0)],
)
add(
    "HS42",
    lambda x: (x[0] - 1) ** 2 + (x[1] - 2) ** 2 + (x[2] - 3) ** 2 + (x[3] - 4) ** 2,
    [1] * 4,
    28 - 10 * sqrt(2),
    [(lambda x: row(x[0] - 2, x[2] ** 2 + x[3] ** 2 - 2), 0, 0)],
)
add(
    "HS43",
    lambda x: x[0] ** 2 + x[1] ** 2 + 2 * x[2] ** 2 + x[3] ** 2 - 5 * x[0] - 5 * x[1] - 21 * x[2] + 7 * x[3],
    [0] * 4,
    -44.0,
    [
        (
            lambda x: row(
                8 - x[0] ** 2 - x[1] ** 2 - x[2] ** 2 - x[3] ** 2 - x[0] + x[1] - x[2] + x[3],
                10 - x[0] ** 2 - 2 * x[1] ** 2 - x[2] ** 2 - 2 * x[3] ** 2 + x[0] + x[3],
                5 - 2 * x[0] ** 2 - x[1] ** 2 - x[2] ** 2 - 2 * x[0] + x[1] + x[3],
            ),
            0,
            inf,
        )
    ],
)
add(
    "HS60",
    lambda x: (x[0] - 1) ** 2 + (x[0] - x[1]) ** 2 + (x[1] - x[2]) ** 4,
    [2] * 3,
    0.03256820025,
    [(lambda x: row(x[0] * (1 + x[1] ** 2) + x[2] ** 4 - 4 - 3 * sqrt(2)), 0, 0)],
    -10,
    10,
)
add(
    "HS61",
    lambda x: 4 * x[0] ** 2 + 2 * x[1] ** 2 + 2 * x[2] ** 2 - 33 * x[0] + 16 * x[1] - 24 * x[2],
    [0] * 3,
    -143.6461422,
    [(lambda x: row(3 * x[0] - 2 * x[1] ** 2 - 7, 4 * x[0] - x[2] ** 2 - 11), 0, 0)],
)
add(
    "HS63",
    lambda x: 1000 - x[0] ** 2 - 2 * x[1] ** 2 - x[2] ** 2 - x[0] * x[1] - x[0] * x[2],
    [2] * 3,
    961.7151721,
    [(lambda x: row(8 * x[0] + 14 * x[1] + 7 * x[2] - 56, x[0] ** 2 + x[1] ** 2 + x[2] ** 2 - 25), 0, 0)],
    0,
    inf,
)
add(
    "HS64",
    lambda x: 5 * x[0] + 50000 / x[0] + 20 * x[1] + 72000 / x[1] + 10 * x[2] + 144000 / x[2],
    [1] * 3,
    6299.842428,
    [(lambda x: row(1 - 4 / x[0] - 32 / x[1] - 120 / x[2]), 0, inf)],
    1e-5,
    inf,
)
add(
    "HS65",
    lambda x: (x[0] - x[1]) ** 2 + (x[0] + x[1] - 10) ** 2 / 9 + (x[2] - 5) ** 2,
    [-5, 5, 0],
    0.9535288567,
    [(lambda x: row(48 - x[0] ** 2 - x[1] ** 2 - x[2] ** 2), 0, inf)],
    [-4.5, -4.5, -5],
    [4.5, 4.5, 5],
)
add(
    "HS66",
    lambda x: 0.2 * x[2] - 0.8 * x[0],
    [0, 1.05, 2.9],
    0.5181632741,
    [(lambda x: row(x[1] - exp(x[0]), x[2] - exp(x[1])), 0, inf)],
    0,
    [100, 100, 10],
)
add(
    "HS71",
    lambda x: x[0] * x[3] * (x[0] + x[1] + x[2]) + x[2],
    [1, 5, 5, 1],
    17.0140173,
    [
        (lambda x: row(x[0] * x[1] * x[2] * x[3] - 25), 0, inf),
        (lambda x: row(x[0] ** 2 + x[1] ** 2 + x[2] ** 2 + x[3] ** 2 - 40), 0, 0),
    ],
    1,
    5,
)
add(
    "HS77",
    lambda x: (x[0] - 1) ** 2 + (x[0] - x[1]) ** 2 + (x[2] - 1) ** 2 + (x[3] - 1) ** 4 + (x[4] - 1) ** 6,
    [2] * 5,
    0.24150513,
    [
        (
            lambda x: row(
                x[0] ** 2 * x[3] + sin(x[3] - x[4]) - 2 * sqrt(2), x[1] + x[2] ** 4 * x[3] ** 2 - 8 - sqrt(2)
            ),
            0,
            0,
        )
    ],
)
add(
    "HS78",
    lambda x: x[0] * x[1] * x[2] * x[3] * x[4],
    [-2, 1.5, 2, -1, -1],
    -2.91970041,
    [(lambda x: row((x * x).sum() - 10, x[1] * x[2] - 5 * x[3] * x[4], x[0] ** 3 + x[1] ** 3 + 1), 0, 0)],
)
add(
    "HS79",
    lambda x: (x[0] - 1) ** 2 + (x[0] - x[1]) ** 2 + (x[1] - x[2]) ** 2 + (x[2] - x[3]) ** 4 + (x[3] - x[4]) ** 4,
    [2] * 5,
    0.0787768209,
    [
        (
            lambda x: row(
                x[0] + x[1] ** 2 + x[2] ** 3 - 2 - 3 * sqrt(2),
                x[1] - x[2] ** 2 + x[3] + 2 - 2 * sqrt(2),
                x[0] * x[4] - 2,
            ),
            0,
            0,
        )
    ],
)
add(
    "HS80",
    lambda x: exp(x[0] * x[1] * x[2] * x[3] * x[4]),
    [-2, 2, 2, -1, -1],
    0.0539498478,
    [(lambda x: row((x * x).sum() - 10, x[1] * x[2] - 5 * x[3] * x[4], x[0] ** 3 + x[1] ** 3 + 1), 0, 0)],
    [-2.3, -2.3, -3.2, -3.2, -3.2],
    [2.3, 2.3, 3.2, 3.2, 3.2],
)
add(
    "HS100",
    lambda x: (
        (x[0] - 10) ** 2
        + 5 * (x[1] - 12) ** 2
        + x[2] ** 4
        + 3 * (x[3] - 11) ** 2
        + 10 * x[4] ** 6
        + 7 * x[5] ** 2
        + x[6] ** 4
        - 4 * x[5] * x[6]
        - 10 * x[5]
        - 8 * x[6]
    ),
    [1, 2, 0, 4, 0, 1, 1],
    680.6300573,
    [
        (
            lambda x: row(
                127 - 2 * x[0] ** 2 - 3 * x[1] ** 4 - x[2] - 4 * x[3] ** 2 - 5 * x[4],
                282 - 7 * x[0] - 3 * x[1] - 10 * x[2] ** 2 - x[3] + x[4],
                196 - 23 * x[0] - x[1] ** 2 - 6 * x[5] ** 2 + 8 * x[6],
                -4 * x[0] ** 2 - x[1] ** 2 + 3 * x[0] * x[1] - 2 * x[2] ** 2 - 5 * x[5] + 11 * x[6],
            ),
            0,
            inf,
        )
    ],
)


def hs113(x):
    return row(
        105 - 4 * x[0] - 5 * x[1] + 3 * x[6] - 9 * x[7],
        -10 * x[0] + 8 * x[1] + 17 * x[6] - 2 * x[7],
        8 * x[0] - 2 * x[1] - 5 * x[8] + 2 * x[9] + 12,
        -3 * (x[0] - 2) ** 2 - 4 * (x[1] - 3) ** 2 - 2 * x[2] ** 2 + 7 * x[3] + 120,
        -5 * x[0] ** 2 - 8 * x[1] - (x[2] - 6) ** 2 + 2 * x[3] + 40,
        -0.5 * (x[0] - 8) ** 2 - 2 * (x[1] - 4) ** 2 - 3 * x[4] ** 2 + x[5] + 30,
        -(x[0] ** 2) - 2 * (x[1] - 2) ** 2 + 2 * x[0] * x[1] - 14 * x[4] + 6 * x[5],
        3 * x[0] - 6 * x[1] - 12 * (x[8] - 8) ** 2 + 7 * x[9],
    )


add(
    "HS113",
    lambda x: (
        x[0] ** 2
        + x[1] ** 2
        + x[0] * x[1]
        - 14 * x[0]
        - 16 * x[1]
        + (x[2] - 10) ** 2
        + 4 * (x[3] - 5) ** 2
        + (x[4] - 3) ** 2
        + 2 * (x[5] - 1) ** 2
        + 5 * x[6] ** 2
        + 7 * (x[7] - 11) ** 2
        + 2 * (x[8] - 10) ** 2
        + (x[9] - 7) ** 2
        + 45
    ),
    [2, 3, 5, 5, 1, 2, 7, 3, 6, 10],
    24.3062091,
    [(hs113, 0, inf)],
)
add("Rosenbrock 10 in a ball", rosenbrock, [-1.2, 1] * 5, None, [(lambda x: row((x * x).sum()), -inf, 4.0)])
add("Rosenbrock 10", rosenbrock, [-1.2, 1] * 5, 0.0, [])
add("Rosenbrock 2 in a disc", rosenbrock, [-0.5, 0.5], None, [(lambda x: row(x[0] ** 2 + x[1] ** 2), -inf, 1.5)])
add(
    "Rosenbrock 5 with a cubic",
    rosenbrock,
    [0.0] * 5,
    None,
    [(lambda x: row(((x - 1) ** 3).sum() - x[1] + 1, x.sum() - 2), -inf, 0)],
    -1.5,
    1.5,
)
