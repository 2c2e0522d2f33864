"""Who takes part: solvers of this environment, and of another one that holds what cannot be installed here.

A `Host` keeps the problem and runs solvers on it. `elsewhere(python)` is a Host of another interpreter,
behind a pipe: it gets the problem once, and gives back coefficients and its own CPU seconds.
"""

import os
import socket
import subprocess
from dataclasses import dataclass
from importlib import import_module
from multiprocessing.connection import Connection

from benchmarks.grammar import instances
from benchmarks.measure import ROOT, cpu_seconds, find_version


class Host:
    """Solvers of one environment, by name, and the problem they run on."""

    def __init__(self):
        self.solvers = {}
        self.problem = {}

    def offer(self, module):
        """(name, is_extra, tolerances) of each solver of a module; or, in words, what is not installed."""
        try:
            found = {repr(solver): solver for solver in instances(import_module(module).Solver)}
        except ImportError as missing:
            if (missing.name or "").startswith("sparseopt"):
                raise
            return f"not installed: {missing}"
        self.solvers |= found
        return [(name, solver.is_extra, solver.tolerances) for name, solver in found.items()]

    def hold(self, problem):
        """Keep the problem, for all solvers."""
        self.problem = problem

    def enter(self, name):
        """Warm the solver up on the problem; or say why it cannot take it."""
        solver = self.solvers[name]
        skipped, reason = solver.skip(**self.problem)
        if skipped:
            return reason
        solver.set_objective(**self.problem)
        solver.warm_up()
        return None

    def run(self, name, tolerance):
        """CPU seconds of a run."""
        return cpu_seconds(lambda: self.solvers[name].run(tolerance))

    def result(self, name):
        """What the last run found."""
        return self.solvers[name].get_result()

    def versions(self, packages):
        """Versions of the packages that this environment has."""
        return {name: found for name in packages if (found := find_version(name))}


class Elsewhere:
    """A Host of another interpreter, which needs numpy, scipy, benchopt and what it is asked to run."""

    def __init__(self, python):
        self.python = python
        ours, theirs = socket.socketpair()
        with theirs:
            command = [python, "-W", "ignore", "-m", "benchmarks.contestants", str(theirs.fileno())]
            self.process = subprocess.Popen(command, cwd=ROOT, pass_fds=[theirs.fileno()], stdin=subprocess.DEVNULL)
        self.pipe = Connection(ours.detach())

    def ask(self, verb, *arguments):
        """The answer of the Host over there."""
        try:
            self.pipe.send((verb, arguments))
            failure, answer = self.pipe.recv()
        except (EOFError, OSError) as ended:
            reason = f"{self.python} has ended during {verb!r}; it needs numpy, scipy, benchopt and the peers, and says above why."
            raise ChildProcessError(reason) from ended
        if failure is not None:
            raise RuntimeError(failure)
        return answer

    def offer(self, module):
        return self.ask("offer", module)

    def hold(self, problem):
        self.ask("hold", problem)

    def enter(self, name):
        return self.ask("enter", name)

    def run(self, name, tolerance):
        return self.ask("run", name, tolerance)

    def result(self, name):
        return self.ask("result", name)

    def versions(self, packages):
        return self.ask("versions", packages)

    def close(self):
        """End the other interpreter."""
        self.pipe.close()
        self.process.wait()


@dataclass(frozen=True)
class Contestant:
    """One solver: where it runs, and how it is tuned."""

    host: Host | Elsewhere
    module: str
    name: str
    is_extra: bool
    tolerances: tuple

    def enter(self):
        """Warm up; or why it cannot take the problem, in words."""
        return self.host.enter(self.name)

    def run(self, tolerance):
        """CPU seconds of a run."""
        return self.host.run(self.name, tolerance)

    def result(self):
        """What the last run found."""
        return self.host.result(self.name)


def enlist(modules, hosts):
    """Contestants from all modules, each from the first host that can import it, and what no host can."""
    found, missing = [], []
    for module in modules:
        reasons = []
        for host in hosts:
            offered = host.offer(module)
            if not isinstance(offered, str):
                found += [Contestant(host, module, *solver) for solver in offered]
                break
            reasons.append(offered)
        else:
            missing.append((module.rpartition(".")[2], "; ".join(reasons)))
    return found, missing


def serve(pipe):
    """Answer until the other end is closed."""
    host = Host()
    while True:
        try:
            verb, arguments = pipe.recv()
        except EOFError:
            return
        try:
            answer = None, getattr(host, verb)(*arguments)
        except Exception as failure:  # noqa: BLE001 (a peer may raise anything: it is told to who asked)
            answer = f"{type(failure).__name__}: {failure}", None
        pipe.send(answer)


if __name__ == "__main__":
    import sys

    # the caller's table is no place for what peers print
    os.dup2(2, 1)
    serve(Connection(int(sys.argv[1])))
