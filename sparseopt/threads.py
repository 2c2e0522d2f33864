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
    """Raised inside of a thread whose result nobody waits for any more; silent where nobody catches it."""


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

    def work():
        try:
            while True:
                index, job = waiting.get_nowait()
                finished.put((index, job(), None))
        except queue.Empty:
            return
        except BaseException as fault:  # noqa: BLE001 (it is raised where the results are awaited)
            finished.put((None, None, fault))

    # each thread starts with the error state of numpy and the other context of the caller
    workers = [
        threading.Thread(target=contextvars.copy_context().run, args=(work,), daemon=True) for _ in range(threads)
    ]
    try:
        for worker in workers:
            worker.start()
        for _ in jobs:
            index, result, fault = _next(finished)
            if fault is not None:
                raise fault
            yield index, result
    finally:
        for worker in workers:
            _end(worker)


def _next(finished):
    """The next result; a signal that another thread has caught is seen within a tenth of a second."""
    while True:
        try:
            return finished.get(timeout=_PULSE)
        except queue.Empty:
            continue


def _end(worker):
    """Stop a thread at its next line of Python, a tenth of a second away at most, and wait for it."""
    while worker.is_alive():
        ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(worker.ident), ctypes.py_object(_Cancelled))
        worker.join(0.2)


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
