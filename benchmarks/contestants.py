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
from benchmarks.measure import ROOT, find_version, is_silent


class Host:
    """Solvers of one environment, by name, and the problem they run on."""

    def __init__(self):
        self.solvers = {}
        self.problem = {}
        self.entered, self.compiled = set(), set()

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
        self.entered = set()

    def enter(self, name):
        """Warm the solver up on the problem; or say why it cannot take it."""
        solver = self.solvers[name]
        skipped, reason = solver.skip(**self.problem)
        if skipped:
            return reason
        solver.set_objective(**self.problem)
        solver.warm_up()
        self.entered.add(name)
        self.compiled.add(name)
        return None

    def can_try(self, name):
        """Whether its warm-up can be tried in a fork: what compiles or starts a process there is lost."""
        solver = self.solvers[name]
        return (name in self.compiled or solver.is_compiled) and solver.own_seconds is None

    def run(self, name, tolerance):
        """CPU seconds of a run; a host that replaces one that crashed warms up first."""
        if name not in self.entered:
            self.enter(name)
        return self.solvers[name].timed_run(tolerance)

    def result(self, name):
        """What the last run found."""
        return self.solvers[name].get_result()

    def versions(self, packages):
        """Versions of the packages that this environment has."""
        return {name: found for name in packages if (found := find_version(name))}


class Elsewhere:
    """A Host of another interpreter, which needs numpy, scipy, benchopt and what it is asked to run.

    Where it crashes, or does not answer within `patience` seconds, another one takes its place.
    """

    def __init__(self, python, patience):
        self.python, self.patience = python, patience
        self.modules, self.problem, self.asked = [], {}, 0
        self.start()

    def start(self):
        """A new interpreter, that knows what the last one knew."""
        ours, theirs = socket.socketpair()
        with theirs:
            command = [self.python, "-W", "ignore", "-m", "benchmarks.contestants", str(theirs.fileno())]
            self.process = subprocess.Popen(command, cwd=ROOT, pass_fds=[theirs.fileno()], stdin=subprocess.DEVNULL)
        self.pipe = Connection(ours.detach())
        for module in self.modules:
            self.exchange("offer", module)
        if self.modules:
            self.exchange("hold", self.problem)

    def exchange(self, verb, *arguments):
        """The answer of the Host over there."""
        self.asked += 1
        self.pipe.send((self.asked, verb, arguments))
        answered = 0
        # of a question that was interrupted, the answer may still come
        while answered != self.asked:
            if is_silent(self.pipe, self.process.pid, self.patience):
                raise TimeoutError(f"no answer within {self.patience:g} seconds")
            answered, failure, answer = self.pipe.recv()
        if failure is not None:
            raise RuntimeError(failure)
        return answer

    def ask(self, verb, *arguments):
        """The same; after an end or silence there, a new interpreter is ready for the next question."""
        try:
            return self.exchange(verb, *arguments)
        except (EOFError, OSError) as ended:
            self.close()
            self.start()
            reason = str(ended) if isinstance(ended, TimeoutError) else "it has crashed"
            raise ChildProcessError(f"{verb!r} in another environment: {reason}") from ended

    def offer(self, module):
        offered = self.ask("offer", module)
        if not isinstance(offered, str):
            self.modules.append(module)
        return offered

    def hold(self, problem):
        self.problem = problem
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
        self.process.kill()
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
            number, verb, arguments = pipe.recv()
        except EOFError:
            return
        try:
            answer = number, None, getattr(host, verb)(*arguments)
        except Exception as failure:  # noqa: BLE001 (a peer may raise anything: it is told to who asked)
            answer = number, f"{type(failure).__name__}: {failure}", None
        pipe.send(answer)


if __name__ == "__main__":
    import sys

    # the caller's table is no place for what peers print
    os.dup2(2, 1)
    serve(Connection(int(sys.argv[1])))


def is_chosen(text, wanted):
    """Whether a name holds one of the parts that were asked for."""
    return any(part.lower() in text.lower() for part in wanted)


def chosen(suite, options):
    """The hosts that the options name, and the contestants of a suite that they ask for; who is missing is printed."""
    hosts = [Host(), *([Elsewhere(options.other_python, options.patience)] if options.other_python else [])]
    contestants, missing = enlist(suite.modules("solvers"), hosts)
    for peer, reason in missing:
        print(f"{peer}: {reason}", flush=True)
    return hosts, [c for c in contestants if is_chosen(c.name, options.solver) and (options.all or not c.is_extra)]


def entered(contestants, problem):
    """The contestants that take the problem, which their hosts hold from now on; why the others do not is printed."""
    for host in dict.fromkeys(contestant.host for contestant in contestants):
        host.hold(problem)
    found = []
    for contestant in contestants:
        try:
            reason = contestant.enter()
        except Exception as failure:  # noqa: BLE001 (whatever a solver raises is its result, and is shown)
            reason = f"{type(failure).__name__}: {failure}"[:200]
        if reason:
            print(f"  {contestant.name}: {reason}", flush=True)
        else:
            found.append(contestant)
    return found
