"""A clock with a limit, which a run and its training share."""

from __future__ import annotations

import time
from dataclasses import dataclass, field, replace


@dataclass(frozen=True)
class Clock:
    """Seconds since it was made, and whether they are up."""

    limit: float = float("inf")
    start: float = field(default_factory=time.perf_counter)

    @property
    def seconds(self) -> float:
        """Seconds since the start."""
        return time.perf_counter() - self.start

    @property
    def expired(self) -> bool:
        """Whether the limit has passed."""
        return self.seconds > self.limit

    def until(self, limit) -> Clock:
        """The same clock with another limit."""
        return replace(self, limit=limit)
