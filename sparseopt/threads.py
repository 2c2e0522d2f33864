"""Independent jobs in threads that end together: where one fails or Ctrl-C comes, all of them stop."""

from __future__ import annotations

import contextvars
import ctypes
import os
import queue
import sys
import threading
import time

from sparseopt.inputs import as_count

# Seconds after which a wait looks up.
_PULSE = 0.1


class _Cancelled(SystemExit):
    """Raised inside of a thread whose result nobody waits for any more."""


def count_threads(threads, jobs):
    """The number of threads that was asked for; by default one for each core that this process may use."""
    cores = len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1
    return min(jobs, cores if threads is None else as_count(threads, "threads", least=1))


def run_jobs(jobs, threads, progress=None):
    """Results of the jobs, functions without arguments, in their order.

    With one thread they run where they are called, one after another.
    """
    results = [None] * len(jobs)
    for index, result in _one_by_one(jobs) if threads == 1 else _side_by_side(jobs, threads):
        results[index] = result
        if progress is not None:
            progress()
    return results


def _one_by_one(jobs):
    for index, job in enumerate(jobs):
        yield index, job()


def _side_by_side(jobs, threads):
    """Index and result of each job, as they come."""
    waiting, finished = queue.SimpleQueue(), queue.SimpleQueue()
    for pair in enumerate(jobs):
        waiting.put(pair)
    # each thread starts with the error state of numpy and the other context of the caller
    workers = [_Worker(contextvars.copy_context(), waiting, finished) for _ in range(threads)]
    try:
        for worker in workers:
            worker.start()
        for _ in jobs:
            yield _next(finished)
        # all jobs are done, and the threads end by themselves
        for worker in workers:
            worker.join()
    except BaseException:
        for worker in workers:
            worker.cancel()
        raise


class _Worker(threading.Thread):
    """Does jobs until none is waiting.

    An exception that is raised from outside before or behind `run` would leave undone what Python does there: a message on
    stderr, or a thread that counts as alive for ever. So it may be raised only between the first line of `run` and the gate.
    """

    def __init__(self, context, waiting, finished):
        super().__init__(daemon=True)
        self.context, self.waiting, self.finished = context, waiting, finished
        self.gate, self.is_inside = threading.Lock(), False

    def run(self):
        try:
            try:
                self.is_inside = True
                while True:
                    index, job = self.waiting.get_nowait()
                    self.finished.put((index, self.context.run(job), None))
            except queue.Empty:
                pass
            except BaseException as fault:  # noqa: BLE001 (it is raised where the results are awaited)
                self.finished.put((None, None, fault))
            self._leave()
        except _Cancelled:
            self._leave()

    def _leave(self):
        # what was to be raised before is raised where the gate is closed, at the latest
        with self.gate:
            self.is_inside = False

    def cancel(self):
        """Stop at the next line of Python, a tenth of a second away at most, and wait for it."""
        while self.is_alive():
            with self.gate:
                if self.is_inside:
                    raise_in = ctypes.pythonapi.PyThreadState_SetAsyncExc
                    raise_in(ctypes.c_ulong(self.ident), ctypes.py_object(_Cancelled))
            self.join(0.2)


def _next(finished):
    """Index and result of the next job, or its fault; a signal that another thread has caught is seen within a tenth of a second."""
    while True:
        try:
            index, result, fault = finished.get(timeout=_PULSE)
        except queue.Empty:
            continue
        if fault is not None:
            raise fault
        return index, result


class JobProgress:
    """One line on stderr: how many of the jobs are done."""

    def __init__(self, verb, jobs, what):
        self.verb, self.jobs, self.what = verb, jobs, what
        self.done, self.start = 0, time.perf_counter()

    def __call__(self):
        self.done += 1
        seconds = time.perf_counter() - self.start
        end = "\n" if self.done == self.jobs else ""
        sys.stderr.write(f"\r{self.verb}: {self.done} of {self.jobs} {self.what}, {seconds:.1f} s {end}")
        sys.stderr.flush()
