"""Memory of the last large matrix for the next one: pages that are new to a process take longer than what is put there."""

from __future__ import annotations

import threading
import weakref

import numpy as np


class SpareRoom:
    """Room for one matrix, which is kept when nothing refers to the matrix any more."""

    def __init__(self):
        self._lock = threading.Lock()
        self._room, self._user = np.empty(0, dtype=np.uint8), lambda: None

    def matrix(self, size, dtype):
        """A square matrix in Fortran order with anything in it."""
        bytes_ = size * size * np.dtype(dtype).itemsize
        with self._lock:
            if self._user() is not None or self._room.size < bytes_:
                self._room = np.empty(bytes_, dtype=np.uint8)
            # what is seen through a buffer is the base of all its views: where it is gone, they are
            whole = np.frombuffer(memoryview(self._room), dtype=dtype, count=size * size)
            self._user = weakref.ref(whole)
        return whole.reshape((size, size), order="F")
