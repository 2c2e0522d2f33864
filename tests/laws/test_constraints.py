"""Every constraint keeps the laws of sets."""

import cases
import numpy as np
import pytest

import sparseopt as so
from sparseopt.testing import check_constraint


@pytest.mark.parametrize("constraint", cases.CONSTRAINTS, ids=lambda c: f"{type(c).__name__}")
def test_a_constraint_keeps_the_laws(constraint):
    check_constraint(constraint, cases.P)


@pytest.mark.parametrize("constraint", [so.Simplex, so.L1Ball])
def test_a_projection_ends_where_entries_lie_at_the_shift(constraint):
    """Rounding puts them above it and below it in turn: a loop that waits for a set to stay would never end."""
    v = np.array(
        [0.006876658024571081, 0.04740776119746072, 0.04294388161017935, 0.014268006532750852, 0.049612366566139]
    )
    total = 0.002204605368678285
    nearest = constraint(total).project(v)
    assert np.sum(nearest) == pytest.approx(total, rel=1e-9)
    np.testing.assert_allclose(nearest[[0, 1, 2, 3]], 0.0, atol=1e-12)
