"""Every solver keeps the laws of solvers."""

import cases
import pytest

from sparseopt.testing import check_solver


@pytest.mark.parametrize("solver", cases.SOLVERS, ids=repr)
def test_a_solver_keeps_the_laws(solver):
    check_solver(solver)
