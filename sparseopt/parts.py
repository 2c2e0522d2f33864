"""Generators of long work: a part at a time, between which limits are looked at."""

from __future__ import annotations

import time


def within(parts, until):
    """What a generator returns; None where the time is over before, and it can be gone on with."""
    while True:
        try:
            next(parts)
        except StopIteration as end:
            return end.value
        if time.perf_counter() >= until:
            return None


def at_once(parts):
    """What a generator returns, without a look at limits in between."""
    return within(parts, float("inf"))
