"""Every constraint keeps the laws of sets."""

import cases
import pytest

from sparseopt.testing import check_constraint


@pytest.mark.parametrize("constraint", cases.CONSTRAINTS, ids=lambda c: f"{type(c).__name__}")
def test_a_constraint_keeps_the_laws(constraint):
    check_constraint(constraint, cases.P)
