"""Every penalty keeps the laws of penalties."""

import cases
import pytest

from sparseopt.testing import check_penalty


@pytest.mark.parametrize("penalty", cases.PENALTIES, ids=repr)
def test_a_penalty_keeps_the_laws(penalty):
    check_penalty(penalty)
