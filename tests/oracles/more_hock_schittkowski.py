"""More of the same examples, which no constant of the solver was chosen with; importing them notes them."""

from hock_schittkowski import EXAMPLES, add, inf, rosenbrock, row  # noqa: F401 (EXAMPLES is for those who import these)
from numpy import exp, sin, sqrt


def unseen(*arguments, **options):
    """Note an example that no constant was chosen with."""
    add(*arguments, **options, is_seen=False)


unseen(
    "HS22",
    lambda x: (x[0] - 2) ** 2 + (x[1] - 1) ** 2,
    [2, 2],
    1.0,
    [(lambda x: row(2 - x[0] - x[1], x[1] - x[0] ** 2), 0, inf)],
)
unseen(
    "HS24",
    lambda x: ((x[0] - 3) ** 2 - 9) * x[1] ** 3 / (27 * sqrt(3)),
    [1, 0.5],
    -1.0,
    [(lambda x: row(x[0] / sqrt(3) - x[1], x[0] + sqrt(3) * x[1], 6 - x[0] - sqrt(3) * x[1]), 0, inf)],
    0,
)
unseen(
    "HS31",
    lambda x: 9 * x[0] ** 2 + x[1] ** 2 + 9 * x[2] ** 2,
    [1, 1, 1],
    6.0,
    [(lambda x: row(x[0] * x[1] - 1), 0, inf)],
    [-10, 1, -10],
    [10, 10, 1],
)
unseen(
    "HS32",
    lambda x: (x[0] + 3 * x[1] + x[2]) ** 2 + 4 * (x[0] - x[1]) ** 2,
    [0.1, 0.7, 0.2],
    1.0,
    [(lambda x: row(6 * x[1] + 4 * x[2] - x[0] ** 3 - 3), 0, inf), (lambda x: row(1 - x.sum()), 0, 0)],
    0,
)
unseen(
    "HS33",
    lambda x: (x[0] - 1) * (x[0] - 2) * (x[0] - 3) + x[2],
    [0, 0, 3],
    sqrt(2) - 6,
    [(lambda x: row(x[2] ** 2 - x[1] ** 2 - x[0] ** 2, (x * x).sum() - 4), 0, inf)],
    0,
    [inf, inf, 5],
)
unseen(
    "HS34",
    lambda x: -x[0],
    [0, 1.05, 2.9],
    -0.83403244524,
    [(lambda x: row(x[1] - exp(x[0]), x[2] - exp(x[1])), 0, inf)],
    0,
    [100, 100, 10],
)
unseen(
    "HS35",
    lambda x: (
        9
        - 8 * x[0]
        - 6 * x[1]
        - 4 * x[2]
        + 2 * x[0] ** 2
        + 2 * x[1] ** 2
        + x[2] ** 2
        + 2 * x[0] * x[1]
        + 2 * x[0] * x[2]
    ),
    [0.5] * 3,
    1 / 9,
    [(lambda x: row(3 - x[0] - x[1] - 2 * x[2]), 0, inf)],
    0,
)
unseen(
    "HS36",
    lambda x: -x[0] * x[1] * x[2],
    [10] * 3,
    -3300.0,
    [(lambda x: row(72 - x[0] - 2 * x[1] - 2 * x[2]), 0, inf)],
    0,
    [20, 11, 42],
)
unseen(
    "HS37",
    lambda x: -x[0] * x[1] * x[2],
    [10] * 3,
    -3456.0,
    [(lambda x: row(x[0] + 2 * x[1] + 2 * x[2]), 0, 72)],
    0,
    42,
)
unseen(
    "HS38",
    lambda x: (
        100 * (x[1] - x[0] ** 2) ** 2
        + (1 - x[0]) ** 2
        + 90 * (x[3] - x[2] ** 2) ** 2
        + (1 - x[2]) ** 2
        + 10.1 * ((x[1] - 1) ** 2 + (x[3] - 1) ** 2)
        + 19.8 * (x[1] - 1) * (x[3] - 1)
    ),
    [-3, -1, -3, -1],
    0.0,
    [],
    -10,
    10,
)
unseen("HS45", lambda x: 2 - x[0] * x[1] * x[2] * x[3] * x[4] / 120, [2] * 5, 1.0, [], 0, [1, 2, 3, 4, 5])
unseen(
    "HS46",
    lambda x: (x[0] - x[1]) ** 2 + (x[2] - 1) ** 2 + (x[3] - 1) ** 4 + (x[4] - 1) ** 6,
    [sqrt(2) / 2, 1.75, 0.5, 2, 2],
    0.0,
    [(lambda x: row(x[0] ** 2 * x[3] + sin(x[3] - x[4]) - 1, x[1] + x[2] ** 4 * x[3] ** 2 - 2), 0, 0)],
)
unseen(
    "HS48",
    lambda x: (x[0] - 1) ** 2 + (x[1] - x[2]) ** 2 + (x[3] - x[4]) ** 2,
    [3, 5, -3, 2, -2],
    0.0,
    [(lambda x: row(x.sum() - 5, x[2] - 2 * (x[3] + x[4]) + 3), 0, 0)],
)
unseen(
    "HS49",
    lambda x: (x[0] - x[1]) ** 2 + (x[2] - 1) ** 2 + (x[3] - 1) ** 4 + (x[4] - 1) ** 6,
    [10, 7, 2, -3, 0.8],
    0.0,
    [(lambda x: row(x[0] + x[1] + x[2] + 4 * x[3] - 7, x[2] + 5 * x[4] - 6), 0, 0)],
)
unseen(
    "HS50",
    lambda x: (x[0] - x[1]) ** 2 + (x[1] - x[2]) ** 2 + (x[2] - x[3]) ** 4 + (x[3] - x[4]) ** 2,
    [35, -31, 11, 5, -5],
    0.0,
    [
        (
            lambda x: row(
                x[0] + 2 * x[1] + 3 * x[2] - 6, x[1] + 2 * x[2] + 3 * x[3] - 6, x[2] + 2 * x[3] + 3 * x[4] - 6
            ),
            0,
            0,
        )
    ],
)
unseen(
    "HS51",
    lambda x: (x[0] - x[1]) ** 2 + (x[1] + x[2] - 2) ** 2 + (x[3] - 1) ** 2 + (x[4] - 1) ** 2,
    [2.5, 0.5, 2, -1, 0.5],
    0.0,
    [(lambda x: row(x[0] + 3 * x[1] - 4, x[2] + x[3] - 2 * x[4], x[1] - x[4]), 0, 0)],
)
unseen(
    "HS52",
    lambda x: (4 * x[0] - x[1]) ** 2 + (x[1] + x[2] - 2) ** 2 + (x[3] - 1) ** 2 + (x[4] - 1) ** 2,
    [2] * 5,
    5.32664756,
    [(lambda x: row(x[0] + 3 * x[1], x[2] + x[3] - 2 * x[4], x[1] - x[4]), 0, 0)],
)
unseen(
    "HS53",
    lambda x: (x[0] - x[1]) ** 2 + (x[1] + x[2] - 2) ** 2 + (x[3] - 1) ** 2 + (x[4] - 1) ** 2,
    [2] * 5,
    4.09302326,
    [(lambda x: row(x[0] + 3 * x[1], x[2] + x[3] - 2 * x[4], x[1] - x[4]), 0, 0)],
    -10,
    10,
)
unseen(
    "HS76",
    lambda x: (
        x[0] ** 2
        + 0.5 * x[1] ** 2
        + x[2] ** 2
        + 0.5 * x[3] ** 2
        - x[0] * x[2]
        + x[2] * x[3]
        - x[0]
        - 3 * x[1]
        + x[2]
        - x[3]
    ),
    [0.5] * 4,
    -4.681818181,
    [
        (
            lambda x: row(
                5 - x[0] - 2 * x[1] - x[2] - x[3], 4 - 3 * x[0] - x[1] - 2 * x[2] + x[3], x[1] + 4 * x[2] - 1.5
            ),
            0,
            inf,
        )
    ],
    0,
)
unseen(
    "HS81",
    lambda x: exp(x[0] * x[1] * x[2] * x[3] * x[4]) - 0.5 * (x[0] ** 3 + x[1] ** 3 + 1) ** 2,
    [-2, 2, 2, -1, -1],
    0.0539498478,
    [(lambda x: row((x * x).sum() - 10, x[1] * x[2] - 5 * x[3] * x[4], x[0] ** 3 + x[1] ** 3 + 1), 0, 0)],
    [-2.3, -2.3, -3.2, -3.2, -3.2],
    [2.3, 2.3, 3.2, 3.2, 3.2],
)
unseen(
    "HS93",
    lambda x: (
        0.0204 * x[0] * x[3] * (x[0] + x[1] + x[2])
        + 0.0187 * x[1] * x[2] * (x[0] + 1.57 * x[1] + x[3])
        + 0.0607 * x[0] * x[3] * x[4] ** 2 * (x[0] + x[1] + x[2])
        + 0.0437 * x[1] * x[2] * x[5] ** 2 * (x[0] + 1.57 * x[1] + x[3])
    ),
    [5.54, 4.4, 12.02, 11.8, 0.702, 0.852],
    135.075961,
    [
        (
            lambda x: row(
                0.001 * x[0] * x[1] * x[2] * x[3] * x[4] * x[5] - 2.07,
                1
                - 0.00062 * x[0] * x[3] * x[4] ** 2 * (x[0] + x[1] + x[2])
                - 0.00058 * x[1] * x[2] * x[5] ** 2 * (x[0] + 1.57 * x[1] + x[3]),
            ),
            0,
            inf,
        )
    ],
    0,
)


def hs104(x):
    """Objective of number 104, which is also one of its rows."""
    return 0.4 * x[0] ** 0.67 * x[6] ** -0.67 + 0.4 * x[1] ** 0.67 * x[7] ** -0.67 + 10 - x[0] - x[1]


unseen(
    "HS104",
    hs104,
    [6, 3, 0.4, 0.2, 6, 6, 1, 0.5],
    3.9511634396,
    [
        (
            lambda x: row(
                1 - 0.0588 * x[4] * x[6] - 0.1 * x[0],
                1 - 0.0588 * x[5] * x[7] - 0.1 * x[0] - 0.1 * x[1],
                1 - 4 * x[2] / x[4] - 2 * x[2] ** -0.71 / x[4] - 0.0588 * x[2] ** -1.3 * x[6],
                1 - 4 * x[3] / x[5] - 2 * x[3] ** -0.71 / x[5] - 0.0588 * x[3] ** -1.3 * x[7],
            ),
            0,
            inf,
        ),
        (lambda x: row(hs104(x)), 1, 4.2),
    ],
    0.1,
    10,
)
unseen("Rosenbrock 20 in a box", rosenbrock, [-1.2, 1] * 10, None, [], -1.5, 0.8)
unseen("Rosenbrock 4 on a sphere", rosenbrock, [0.5, 0.5, 0.5, 0.5], None, [(lambda x: row((x * x).sum()), 1, 1)])
unseen(
    "Rosenbrock 30 with a sum",
    rosenbrock,
    [0.0] * 30,
    None,
    [(lambda x: row(x.sum(), (x * x).sum()), [15, -inf], [15, 12])],
)
