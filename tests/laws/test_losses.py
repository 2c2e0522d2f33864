"""Every loss keeps the laws of losses."""

import cases
import pytest

from sparseopt.testing import check_loss


@pytest.mark.parametrize("loss", cases.LOSSES, ids=cases.name_of)
def test_a_loss_keeps_the_laws(loss):
    check_loss(loss)
