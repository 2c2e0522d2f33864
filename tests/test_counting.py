"""Ranges within kernels give what Python's give."""

import itertools

import numpy as np
import pytest

from sparseopt._jit import kernel

U = np.uint64
ENDS = (-3, -1, 0, 1, 2, 5)
STEPS = (-4, -1, 1, 3)


@kernel
def _one_end(stop, found):
    """Put what the range gives into `found`; how many there are."""
    count = 0
    for i in range(stop):
        found[count] = i
        count += 1
    return count


@kernel
def _two_ends(start, stop, found):
    """Put what the range gives into `found`; how many there are."""
    count = 0
    for i in range(start, stop):
        found[count] = i
        count += 1
    return count


@kernel
def _steps(start, stop, step, found):
    """Put what the range gives into `found`; how many there are."""
    count = 0
    for i in range(start, stop, step):
        found[count] = i
        count += 1
    return count


@kernel
def _unsigned(start, stop, found):
    """Put what the range gives into `found`; how many there are."""
    count = 0
    for i in range(U(start), U(stop)):
        found[count] = i
        count += 1
    return count


@kernel
def _triangle(n, found):
    """Put the sums of places below and on a diagonal into `found`, from its end backwards; how many there are."""
    count = 0
    for i in range(n):
        for j in range(i + 1):
            count += 1
            if j == 3:
                break
            found[-count] = i + j
    return count


@kernel
def _moved(a, found):
    """Put entries of `a` into `found` at places that are counted and then moved, and count from the end of it."""
    for i in range(a.shape[0]):
        for j in range(a.shape[1]):
            place = j - 1
            found[i, place] = a[i, j]


def given(function, *arguments):
    """What a range gives in a kernel."""
    found = np.zeros(16, int)
    return found[: function(*arguments, found)].tolist()


@pytest.mark.parametrize("start", ENDS)
def test_ranges_give_what_they_give_in_python(start):
    assert given(_one_end, start) == list(range(start))
    for stop in ENDS:
        assert given(_two_ends, start, stop) == list(range(start, stop))
        for step in STEPS:
            assert given(_steps, start, stop, step) == list(range(start, stop, step))


def test_unsigned_ranges_give_what_they_give_in_python():
    """A bound below the start is no large number."""
    for start, stop in itertools.product((0, 1, 2, 5), repeat=2):
        assert given(_unsigned, start, stop) == list(range(start, stop))


def test_a_range_is_begun_anew_each_time():
    found = np.zeros(16, int)
    places = [(i, j) for i in range(5) for j in range(min(i + 1, 4))]
    assert _triangle(5, found) == len(places)
    for count, (i, j) in enumerate(places, 1):
        assert found[-count] == (0 if j == 3 else i + j)


@pytest.mark.parametrize("order", "CF")
def test_a_place_that_was_counted_and_then_moved_below_zero_counts_from_the_end(order):
    a = np.arange(12.0).reshape(3, 4)
    found = np.zeros((3, 4), order=order)
    _moved(a, found)
    assert np.array_equal(found, np.roll(a, -1, axis=1))
