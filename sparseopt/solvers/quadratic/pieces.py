"""Work in pieces: generators that yield where a limit may be looked at, and return what they make."""

import time

# Seconds of work between two looks at limits.
_SHIFT = 0.05


class Pieces:
    """A generator at work; `made` is what it has returned once it is over."""

    def __init__(self, generator):
        self.generator, self.made = generator, None

    def go_on(self):
        """Work for a few hundredths of a second, and for one piece at least; whether all of it is done."""
        start = time.perf_counter()
        try:
            while True:
                next(self.generator)
                if time.perf_counter() - start > _SHIFT:
                    return False
        except StopIteration as end:
            self.made = end.value
            return True
