"""Every term on whole vectors keeps the laws of terms."""

import cases
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import sparseopt as so
from sparseopt.testing import check_term


@pytest.mark.parametrize("term", cases.TERMS, ids=lambda term: type(term).__name__)
def test_a_term_keeps_the_laws(term):
    check_term(term, cases.P)


@settings(max_examples=20)
@given(data=st.data(), p=st.integers(1, 9))
def test_terms_of_any_size_keep_the_laws(data, p):
    sizes = st.one_of(st.just(0.0), st.floats(1e-3, 3.0))
    alphas = data.draw(st.lists(sizes, min_size=p, max_size=p))
    labels = data.draw(st.lists(st.integers(0, 3), min_size=p, max_size=p))
    alpha, fusion = data.draw(sizes), data.draw(sizes)
    for term in (
        so.SLOPE(np.sort(alphas)[::-1]),
        so.TotalVariation(alpha),
        so.FusedLasso(alpha, fusion),
        so.ExclusiveLasso(alpha, labels),
    ):
        check_term(term, p, seed=data.draw(st.integers(0, 1000)))
