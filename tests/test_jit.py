"""Terms compile for whoever writes them, and their machine code is never stale and never lost."""

import dataclasses
import itertools
import operator
import os
import pickle
import shutil
import threading
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from numba.core import types
from numba.core.registry import cpu_target
from scipy import sparse

import sparseopt as so
from sparseopt import _jit, _store
from sparseopt._jit import kernel, store
from sparseopt._jit.operators import remembering
from sparseopt.kernels.descent import descend

RNG = np.random.default_rng(0)
X = RNG.standard_normal((30, 8))
Y = X[:, 0] - 0.5 * X[:, 3] + 0.1 * RNG.standard_normal(30)


@dataclass(frozen=True)
class Half(so.Penalty):
    """alpha |w| / 2, as a user writes it."""

    alpha: float

    def value(self, w):
        return self.alpha * abs(w) / 2

    def prox(self, v, step):
        return soft(v, step * self.alpha / 2)


def soft(v, threshold):
    return v - min(max(v, -threshold), threshold)


# A user's class and a small kernel in a script, so that a process compiles for half a second only.
SCRIPT = """
from dataclasses import dataclass
import numpy as np
import sparseopt as so
from sparseopt._jit import compilations, kernel

FACTOR = 2.0

@dataclass(frozen=True)
class Mine(so.Penalty):
    alpha: float

    def value(self, w):
        return self.alpha * abs(w)

    def prox(self, v, step):
        return FACTOR * v

@kernel
def apply(penalty, v, out):
    penalty.prox_into(v, 1.0, out)

def result(kind=np.float64):
    v = np.ones(1, dtype=kind)
    apply(Mine(0.5), v, v)
    return float(v[0])
"""
SHOW = "print(result(), *compilations())\n"


@pytest.mark.parametrize("solver", [so.CoordinateDescent(), so.ProximalGradient()], ids=repr)
@pytest.mark.parametrize("storage", [np.asarray, sparse.csc_array])
def test_a_users_penalty_works_in_every_solver(solver, storage):
    loss = so.LeastSquares(storage(X), Y)
    ours = so.solve(so.Problem(loss, Half(0.2)), solver, tol=1e-10)
    same = so.solve(so.Problem(loss, so.L1(0.1)), solver, tol=1e-12)
    assert ours.certificate.stationarity < 1e-8
    np.testing.assert_allclose(ours.w, same.w, atol=1e-6)


def test_solvers_that_need_structure_refuse_a_users_penalty_in_words():
    loss = so.LeastSquares(X, Y)
    with pytest.raises(so.UnsupportedProblem, match="refits by Newton steps"):
        so.solve(so.Problem(loss, Half(0.2), so.Cardinality(2)), so.HardThresholding())
    with pytest.raises(so.UnsupportedProblem, match="OperatorSplitting"):
        so.solve(so.Problem(loss, Half(0.2)), so.OperatorSplitting())


def test_terms_nest():
    loss = so.LeastSquares(X, Y)
    nested = so.Ridged(so.Weighted(Half(0.2), np.ones(8)), 0.1)
    ours = so.solve(so.Problem(loss, nested), tol=1e-10)
    same = so.solve(so.Problem(loss, so.Ridged(so.L1(0.1), 0.1)), tol=1e-10)
    np.testing.assert_allclose(ours.w, same.w, atol=1e-6)


def test_a_missing_method_is_pythons_own_error():
    @dataclass(frozen=True)
    class Unfinished(so.Penalty):
        def value(self, w):
            return 0.0

    with pytest.raises(TypeError, match=r"abstract.*prox"):
        Unfinished()


def test_a_term_that_could_change_is_refused():
    @dataclass
    class Loose(so.Penalty):
        alpha: float

        def value(self, w):
            return 0.0

        def prox(self, v, step):
            return v

    with pytest.raises(TypeError, match="Loose is not frozen; decorate the class"):
        so.solve(so.Problem(so.LeastSquares(X, Y), Loose(1.0)))


def test_a_whole_number_for_a_float_compiles_no_second_version():
    so.solve(so.Problem(so.LeastSquares(X, Y), Half(0.5)))
    known = len(descend.signatures)
    so.solve(so.Problem(so.LeastSquares(X, Y), Half(1)))
    so.solve(so.Problem(so.LeastSquares(X, Y), Half(np.float32(1))))
    assert len(descend.signatures) == known


@pytest.mark.parametrize(
    "term",
    [
        Half(0.3),
        so.Ridged(so.MCP(0.1), 0.2),
        so.Simplex(2.0),
        so.LeastSquares(sparse.csc_array(X), Y, intercept=True, sample_weight=np.arange(1.0, 31.0)),
        so.Logistic(X, Y > 0),
        so.Quadratic(X.T @ X, X.T @ Y),
    ],
    ids=lambda term: type(term).__name__,
)
def test_terms_survive_pickle_after_use(term):
    """A term caches its type and more on the instance; none of that may travel."""
    match term:
        case so.Loss():
            problem = so.Problem(term)
        case so.Penalty():
            problem = so.Problem(so.LeastSquares(X, Y), term)
        case so.Constraint():
            problem = so.Problem(so.LeastSquares(X, Y), constraint=term)
    before = so.solve(problem)
    again = so.solve(pickle.loads(pickle.dumps(problem)))
    assert again.w.tobytes() == before.w.tobytes()
    assert set(vars(pickle.loads(pickle.dumps(term)))) == {field.name for field in dataclasses.fields(term)}


def test_threads_compile_once_and_agree():
    """Four threads compile as many kernels for a class as one thread does for another."""

    @dataclass(frozen=True)
    class Alone(Half):
        def prox(self, v, step):
            return soft(v, self.alpha * step)

    @dataclass(frozen=True)
    class Threaded(Half):
        def prox(self, v, step):
            return soft(v, step * self.alpha)

    so.solve(so.Problem(so.LeastSquares(X, Y), so.L1(0.1)))
    before = sum(_jit.compilations())
    so.solve(so.Problem(so.LeastSquares(X, Y), Alone(0.1)))
    compiled = sum(_jit.compilations())
    found, barrier = [], threading.Barrier(4)

    def work():
        barrier.wait()
        found.append(so.solve(so.Problem(so.LeastSquares(X, Y), Threaded(0.1))).w.tobytes())

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 4
    assert len(set(found)) == 1
    assert sum(_jit.compilations()) - compiled == compiled - before > 0


COUNTED = """
import sys
import numpy as np, scipy.sparse as sp, sparseopt as so
from numba.core.runtime import rtsys
from sparseopt.kernels.descent import descend

X = sp.random_array((30, 8), density=0.5, format="csc", rng=0)
loss = so.LeastSquares(X, np.ones(30), sample_weight=np.ones(30))
penalty = so.Weighted(so.Ridged(so.L1(0.1), 0.1), np.ones(8))
w, order, active = np.zeros(8), np.arange(8), np.arange(8)
running, curvatures = loss.start(w), loss.curvatures()
lent = [loss.X.data, loss.X.indices, loss.X.indptr, loss.y, loss.target, loss.sample_weight.values, penalty.weights, w, running, curvatures, order, active]

def counts():
    live = rtsys.get_allocation_stats()
    return [sys.getrefcount(array) for array in lent], live.alloc - live.free, live.mi_alloc - live.mi_free

descend(loss, penalty, w, running, curvatures, order, active, 1, 0.0)
before = counts()
for _ in range(20_000):
    descend(loss, penalty, w, running, curvatures, order, active, 1, 0.0)
assert counts() == before, (before, counts())
print("balanced")
"""


def test_reference_counts_balance_over_many_calls(run):
    """One release too many or too few in 20,000 calls would show, or crash."""
    assert run(COUNTED, NUMBA_NRT_STATS="1") == "balanced"


@_jit.kernel
def exponentials(x, out):
    for i in range(x.size):
        out[i] = _jit.exp(x[i])


@pytest.mark.parametrize(("kind", "largest"), [(np.float64, 708.0), (np.float32, 87.0)])
def test_the_exponential_is_right_to_four_roundings(kind, largest):
    x = np.linspace(-largest, largest, 100_001).astype(kind)
    found = np.empty_like(x)
    exponentials(x, found)
    exact = np.exp(x.astype(np.longdouble))
    assert np.max(np.abs(found / exact - 1)) < 4 * np.finfo(kind).eps


@pytest.mark.parametrize("kind", [np.float64, np.float32])
def test_the_exponential_keeps_nan_and_never_overflows(kind):
    x = np.array([np.nan, 0.0, -1e4, -np.inf, 1e4, np.inf], dtype=kind)
    found = np.empty_like(x)
    exponentials(x, found)
    assert np.isnan(found[0])
    assert found[1] == 1.0
    assert np.all(found[2:4] < 1e-37)
    assert np.all(np.isfinite(found[4:]))


COMPARED = """
import numpy as np, scipy.sparse as sp, sparseopt as so
rng = np.random.default_rng(0)
X = rng.standard_normal((12, 5))
y = X[:, 0] + 0.1 * rng.standard_normal(12)
found = []
runs = [
    (so.Logistic(sp.csc_array(X), y > 0, intercept=True), so.MCP(0.05), so.CoordinateDescent(newton=False)),
    (so.LeastSquares(X, y, intercept=True), so.L1(0.05), so.ProximalGradient()),
]
for loss, penalty, solver in runs:
    found.append(so.solve(so.Problem(loss, penalty), solver, tol=0.0, max_iter=7).w)
print(np.concatenate(found).tolist())
"""


def test_without_compilation_the_numbers_are_the_same(run):
    """To the rounding of seven iterations: compiled sums are reassociated."""
    compiled = np.array(eval(run(COMPARED, SPARSEOPT_CACHE_DIR=str(_store.cache_directory() or "off"))))
    plain = np.array(eval(run(COMPARED, NUMBA_DISABLE_JIT="1")))
    np.testing.assert_allclose(plain, compiled, rtol=0, atol=1e-12)


# The store


def test_a_second_process_compiles_nothing_whatever_its_hash_seed(run):
    assert run(SCRIPT + SHOW, PYTHONHASHSEED="1") == "2.0 1 0"
    assert run(SCRIPT + SHOW, PYTHONHASHSEED="2") == "2.0 0 1"
    assert run(SCRIPT + SHOW, PYTHONHASHSEED="3") == "2.0 0 1"


def test_an_import_leaves_out_what_only_some_solvers_need(run):
    """All of SciPy's optimisers take as long to import as this package."""
    assert run("import sys, sparseopt; print('scipy.optimize' in sys.modules)") == "False"


def test_a_solve_in_a_second_process_compiles_nothing(run):
    script = "import numpy as np, sparseopt as so\nfrom sparseopt._jit import compilations\n"
    script += "so.solve(so.Problem(so.LeastSquares(np.eye(3), np.ones(3), intercept=True), so.Ridged(so.L1(0.1), 0.1)))\nprint(*compilations())\n"
    compiled, loaded = map(int, run(script).split())
    assert compiled > 0
    assert loaded == 0
    assert run(script) == f"0 {compiled}"


def test_an_edited_method_constant_or_function_is_compiled_again(run):
    assert run(SCRIPT + SHOW) == "2.0 1 0"
    assert run(SCRIPT.replace("FACTOR * v", "FACTOR + v") + SHOW) == "3.0 1 0"
    assert run(SCRIPT.replace("FACTOR = 2.0", "FACTOR = 4.0") + SHOW) == "4.0 1 0"
    helped = SCRIPT.replace("FACTOR * v", "doubled(v)").replace(
        "FACTOR = 2.0", "def doubled(v, by=2.0):\n    return by * v"
    )
    assert run(helped + SHOW) == "2.0 1 0"
    assert run(helped.replace("by=2.0", "by=5.0") + SHOW) == "5.0 1 0"
    assert run(helped.replace("by * v", "by - v") + SHOW) == "1.0 1 0"
    assert run("# a comment\n" + SCRIPT + SHOW) == "2.0 0 1"
    documented = SCRIPT.replace("step):\n", 'step):\n        """What it does."""\n')
    assert run(documented + SHOW) == "2.0 1 0"
    assert run(documented.replace("What it does", "The same, said better") + SHOW) == "2.0 0 1"


@pytest.mark.parametrize("access", ["from other import twice, FACTOR", "import other\nfrom other import twice"])
def test_an_edit_in_another_file_is_compiled_again(run, tmp_path, access):
    other = tmp_path / "other.py"
    constant = "FACTOR" if "FACTOR" in access else "other.FACTOR"
    script = SCRIPT.replace("FACTOR = 2.0", access).replace("FACTOR * v", f"{constant} + twice(v)") + SHOW
    for factor, body, expected in ((1.0, "2 * v", "3.0"), (1.0, "3 * v", "4.0"), (7.0, "3 * v", "10.0")):
        other.write_text(f"FACTOR = {factor}\ndef once(v):\n    return {body}\ndef twice(v):\n    return once(v)\n")
        assert run(script) == f"{expected} 1 0"
        assert run(script) == f"{expected} 0 1"


ALIASES = """
from dataclasses import dataclass
from enum import IntEnum
import math
import numpy as np
import sparseopt as so
import house.rooms.kitchen
from sparseopt._jit import compilations, kernel

Kind, rounded, wave, mode = np.float32, math.floor, np.sin, "warm"

class Level(IntEnum):
    LOW = 1

@dataclass(frozen=True)
class Mine(so.Penalty):
    alpha: float

    def value(self, w):
        return self.alpha * abs(w)

    def prox(self, v, step):
        return (Kind(16777217) - 16777216.0) + 10 * rounded(2.5 * v) + 100 * wave(0.0) + 1000 * house.rooms.kitchen.SPOONS + 10000 * Level.LOW + (100000 if mode == "cold" else 0)

@kernel
def apply(penalty, v, out):
    penalty.prox_into(v, 1.0, out)

v = np.ones(1)
apply(Mine(0.5), v, v)
print(round(v[0]), *compilations())
"""


def test_an_edited_alias_of_a_type_or_function_is_compiled_again(run, tmp_path):
    """Names that stay while what they name changes; seen as the constant of a module of a module, too."""
    kitchen = tmp_path / "house" / "rooms" / "kitchen.py"
    kitchen.parent.mkdir(parents=True)
    for package in (kitchen.parent, kitchen.parents[1]):
        (package / "__init__.py").write_text("")
    kitchen.write_text("SPOONS = 3\n")
    assert run(ALIASES) == "13020 1 0"
    assert run(ALIASES.replace("np.float32", "np.float64")) == "13021 1 0"
    assert run(ALIASES.replace("math.floor", "math.ceil")) == "13030 1 0"
    assert run(ALIASES.replace("np.sin", "np.cos")) == "13120 1 0"
    assert run(ALIASES.replace("LOW = 1", "LOW = 2")) == "23020 1 0"
    assert run(ALIASES.replace('"cold"', '"warm"')) == "113020 1 0"
    kitchen.write_text("SPOONS = 4\n")
    assert run(ALIASES) == "14020 1 0"
    assert run(ALIASES) == "14020 0 1"


def test_an_edit_of_the_package_itself_is_compiled_again(run, tmp_path):
    shutil.copytree(Path(so.__file__).parent, tmp_path / "sparseopt", ignore=shutil.ignore_patterns("__pycache__"))
    script = "import numpy as np, sparseopt as so\nfrom sparseopt._jit import compilations\n"
    script += "print(so.solve(so.Problem(so.LeastSquares(np.eye(2), np.ones(2)), so.L1(0.1)), so.CoordinateDescent(), max_iter=1).w[0], *compilations())\n"
    # the kernel of the door, which reads X, is the second
    assert run(script, root=tmp_path) == "0.8 2 0"
    file = tmp_path / "sparseopt" / "penalties" / "separable.py"
    file.write_text(file.read_text().replace("threshold = step * self.alpha", "threshold = 2 * step * self.alpha"))
    assert run(script, root=tmp_path) == "0.6 1 1"
    file = tmp_path / "sparseopt" / "kernels" / "descent.py"
    file.write_text(file.read_text().replace("w[j] = new\n", "w[j] = new + 1\n"))
    assert run(script, root=tmp_path) == "1.6 1 1"


def test_a_kernel_of_another_kind_is_compiled_again(run):
    """Its code is what it was, but not how it is compiled."""
    brief = SCRIPT.replace("@kernel", "@brief_kernel").replace("compilations, kernel", "brief_kernel, compilations")
    assert run(SCRIPT + SHOW) == "2.0 1 0"
    assert run(brief + SHOW) == "2.0 1 0"
    assert run(brief + SHOW) == "2.0 0 1"


def test_a_function_defined_after_the_class_counts(run):
    script = SCRIPT.replace("FACTOR * v", "later(v)") + "def later(v):\n    return 2 * v\n" + SHOW
    assert run(script) == "2.0 1 0"
    assert run(script) == "2.0 0 1"
    assert run(script.replace("2 * v", "4 * v")) == "4.0 1 0"


def test_code_redefined_after_its_first_use_is_not_stored(run, tmp_path):
    """Its file name would be the digest of the first definition."""
    script = SCRIPT.replace("FACTOR = 2.0", "def changed(v):\n    return 2 * v").replace("FACTOR * v", "changed(v)")
    script += "result()\ndef changed(v):\n    return 5 * v\nprint(result(np.float32), *compilations())\n"
    run(script)
    assert len(list((tmp_path / "cache").glob("apply-*.nbc"))) == 1
    assert run(script).endswith(" 1 1")


def test_a_class_in_a_module_hits_the_store(run, tmp_path):
    (tmp_path / "terms.py").write_text(SCRIPT)
    script = "from terms import compilations, result\n" + SHOW
    assert run(script) == "2.0 1 0"
    assert run(script) == "2.0 0 1"


def test_a_class_in_a_notebook_hits_the_store(run, tmp_path):
    script = "from IPython.core.interactiveshell import InteractiveShell\n"
    script += f"InteractiveShell.instance().run_cell({SCRIPT + SHOW!r})\n"
    settings = {"IPYTHONDIR": str(tmp_path / "ipython"), "PYTHONWARNINGS": "default"}
    assert run(script, **settings) == "2.0 1 0"
    assert run(script, **settings) == "2.0 0 1"


def test_workers_of_loky_take_a_class_of_main_and_compile_nothing(run):
    script = SCRIPT + (
        "def work(alpha):\n"
        "    solution = so.solve(so.Problem(so.LeastSquares(np.eye(2), np.ones(2)), Mine(alpha)), max_iter=1, tol=0.0)\n"
        "    return solution.w.tolist(), compilations()\n"
        "if __name__ == '__main__':\n"
        "    from joblib import Parallel, delayed\n"
        "    here = work(0.5)\n"
        "    there = Parallel(2, backend='loky')(delayed(work)(alpha) for alpha in (0.1, 0.2))\n"
        "    assert all(found[0] == here[0] for found in there), (here, there)\n"
        "    print(*[found[1][0] for found in there])\n"
    )
    assert run(script, PYTHONWARNINGS="default") == "0 0"


def test_a_forked_child_runs_what_its_parent_compiled(run):
    script = SCRIPT + (
        "import os\n"
        "result()\n"
        "child = os.fork()\n"
        "if child == 0:\n"
        "    os._exit(int(result()) + 10 * compilations()[0])\n"
        "print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))\n"
    )
    assert run(script) == "12"


@pytest.mark.parametrize("count", [2, 4])
def test_processes_that_compile_at_once_do_not_damage_each_other(start, run, tmp_path, count):
    processes = [start(SCRIPT + SHOW) for _ in range(count)]
    for process in processes:
        out, err = process.communicate(timeout=120)
        assert out.startswith("2.0 "), err
    assert run(SCRIPT + SHOW) == "2.0 0 1"
    assert [file.suffix for file in (tmp_path / "cache").iterdir()] == [".nbc"]


def test_a_damaged_file_is_compiled_again(run, tmp_path):
    run(SCRIPT + SHOW)
    (file,) = (tmp_path / "cache").glob("*.nbc")
    sound = file.read_bytes()
    flipped = sound[:1000] + bytes([sound[1000] ^ 255]) + sound[1001:]
    for damaged in (b"", sound[:40], sound[:-100], flipped):
        file.write_bytes(damaged)
        assert run(SCRIPT + SHOW) == "2.0 1 0"
    assert run(SCRIPT + SHOW) == "2.0 0 1"


def test_no_writable_directory_costs_time_only(run, tmp_path):
    occupied = tmp_path / "file"
    occupied.write_text("a file, not a directory")
    nowhere = str(occupied / "below")
    assert run(SCRIPT + SHOW, SPARSEOPT_CACHE_DIR=nowhere) == "2.0 1 0"
    assert run(SCRIPT + SHOW, SPARSEOPT_CACHE_DIR="", HOME=nowhere, XDG_CACHE_HOME=nowhere, TMPDIR=nowhere).startswith(
        "2.0 "
    )


def test_the_store_is_off_on_request(run, tmp_path):
    assert run(SCRIPT + SHOW, SPARSEOPT_CACHE_DIR="off", XDG_CACHE_HOME=str(tmp_path / "home")) == "2.0 1 0"
    assert not (tmp_path / "off").exists()
    assert not (tmp_path / "home").exists()


def test_the_store_lies_in_the_users_cache_by_default(run, tmp_path):
    settings = {"SPARSEOPT_CACHE_DIR": "", "XDG_CACHE_HOME": str(tmp_path / "home")}
    assert run(SCRIPT + SHOW, **settings) == "2.0 1 0"
    assert len(list((tmp_path / "home" / "sparseopt").glob("apply-*.nbc"))) == 1
    assert (tmp_path / "home" / "sparseopt").stat().st_mode & 0o777 == 0o700


def test_a_directory_that_others_can_write_is_not_used(tmp_path, monkeypatch):
    directory = tmp_path / "cache"
    assert _store.is_usable(directory)
    for mode in (0o770, 0o702):
        directory.chmod(mode)
        assert not _store.is_usable(directory)
    directory.chmod(0o700)
    link = tmp_path / "link"
    link.symlink_to(directory)
    assert not _store.is_usable(link)
    owner = os.getuid()
    monkeypatch.setattr(os, "getuid", lambda: owner + 1)
    assert not _store.is_usable(directory)


def test_a_directory_that_others_can_write_is_not_read(run, tmp_path):
    """What lies there is pickle, and so could be anyone's code."""
    run(SCRIPT + SHOW)
    (tmp_path / "cache").chmod(0o777)
    assert run(SCRIPT + SHOW) == "2.0 1 0"
    (tmp_path / "cache").chmod(0o700)
    assert run(SCRIPT + SHOW) == "2.0 0 1"


NATIVE = cpu_target.target_context.codegen().magic_tuple()


@pytest.mark.parametrize("level", ["", *(level for _, level, _ in store._levels_below(NATIVE))])
def test_a_bundle_is_read_and_not_written(run, tmp_path, level):
    """Made on a machine like this one, or for a portable level that this one runs."""
    bundle = tmp_path / "bundle"
    target = {"NUMBA_CPU_NAME": level, "NUMBA_CPU_FEATURES": ""} if level else {}
    run(SCRIPT + SHOW, SPARSEOPT_CACHE_DIR=str(bundle), **target)
    before = sorted(bundle.iterdir())
    assert run(SCRIPT + SHOW, SPARSEOPT_BUNDLE=str(bundle)) == "2.0 0 1"
    assert run(SCRIPT.replace("2.0", "3.0") + SHOW, SPARSEOPT_BUNDLE=str(bundle)) == "3.0 1 0"
    assert sorted(bundle.iterdir()) == before


def test_code_for_a_portable_level_runs_where_the_processor_has_its_features():
    features = {level: ",".join("+" + name for name in sorted(needed)) for level, needed in store._LEVELS.items()}
    everything = ",".join(features.values())
    assert [level for _, level, _ in store._levels_below(("x86_64", "any", everything))] == ["x86-64-v4", "x86-64-v3"]
    assert [level for _, level, _ in store._levels_below(("x86_64", "any", features["x86-64-v3"]))] == ["x86-64-v3"]
    assert store._levels_below(("aarch64", "any", "+neon")) == []


def test_only_the_newest_files_are_kept(tmp_path):
    for age in range(5):
        file = tmp_path / f"{age}.nbc"
        file.write_bytes(b"")
        os.utime(file, (age, age))
    _store.evict(tmp_path, keep=2)
    assert sorted(file.name for file in tmp_path.iterdir()) == ["3.nbc", "4.nbc"]


@kernel
def extremes(a, b, c, n, found):
    """Put what min and max give into `found`."""
    found[0], found[1] = min(a, b), max(a, b)
    found[2], found[3] = min(a, b, c), max(a, b, c)
    found[4], found[5] = min(a, n), max(n, a)
    found[6], found[7] = min(n, 3), max((3, n))


@pytest.mark.parametrize("kind", [np.float64, np.float32])
def test_the_least_and_the_largest_are_those_of_python(kind):
    """Also which of equals, and where a NaN is among them: a comparison with it is false."""
    values = [kind(x) for x in (-1.5, 0.0, 2.0, np.inf, -np.inf, np.nan)]
    for a, b, c in itertools.product(values, repeat=3):
        for n in (-2, 3, 7):
            found = np.empty(8)
            extremes(a, b, c, n, found)
            pairs = [min(a, b), max(a, b), min(a, b, c), max(a, b, c), min(a, n), max(n, a), min(n, 3), max(3, n)]
            np.testing.assert_array_equal(found, np.array(pairs, dtype=float))


@kernel
def move_entries(a, A, F, unsigned, found):
    """Read and write entries of vectors and matrices, by columns and by rows, also counted from the end."""
    for i in range(-2, 3):
        found[i] = 10 * a[i]
        for j in range(-3, 2):
            found[3 + 2 * i + j] += 100 * A[i, j] + F[j, i]
            F[j, i] = a[j] + A[-1, j]
    found[unsigned[0]] = found[unsigned[1]] + A[unsigned[1], unsigned[0]] + F[-2, unsigned[1]]
    A[1, unsigned[1]] = found[-1]
    a[-1] = a[0]


@pytest.mark.parametrize("kind", [np.float64, np.float32, np.int32, np.uint8, np.bool_])
@pytest.mark.parametrize("is_aligned", [True, False])
def test_entries_are_read_and_written_where_python_does(kind, is_aligned):
    """Also in arrays at odd addresses, as those of packed records are."""

    def held(numbers):
        values = numbers.astype(kind)
        memory = np.zeros(values.nbytes + 16, dtype=np.uint8)
        start = -memory.ctypes.data % 16 + (0 if is_aligned else 1)
        array = memory[start : start + values.nbytes].view(kind).reshape(values.shape)
        array[...] = values
        return array

    arrays = []
    for move in (move_entries, move_entries.py_func if hasattr(move_entries, "py_func") else move_entries):
        a, A, F = held(np.arange(5) % 4), held(np.arange(25).reshape(5, 5) % 3), held(np.arange(25).reshape(5, 5) % 2).T
        found = np.zeros(12)
        move(a, A, F, np.array([1, 0], dtype=np.uint64), found)
        arrays.append((a, A, F, found))
    for ours, pythons in zip(*arrays, strict=True):
        np.testing.assert_array_equal(ours, pythons)


def test_bounds_are_checked_where_numba_is_asked_to(run):
    """Writing past the end of an array is found by this, so that it must not be lost."""
    script = "import numpy as np\nfrom sparseopt._jit import kernel\n@kernel\ndef write(x, i):\n    x[i] = 1.0\n"
    script += "try:\n    write(np.ones(2), 2)\nexcept IndexError:\n    print('out of bounds')\n"
    assert run(script, NUMBA_BOUNDSCHECK="1", SPARSEOPT_CACHE_DIR="off") == "out of bounds"


@pytest.mark.skipif(not _jit.is_compiled(), reason="operators are typed where kernels are compiled")
def test_operators_give_what_they_give_to_numba():
    """Kernels ask a memory of ours, whose answers must be numba's own, the first time and later."""
    theirs, ours = cpu_target.typing_context, remembering(cpu_target.typing_context)
    theirs.refresh()
    kinds = (types.int64, types.uint64, types.float32, types.float64, types.boolean, types.literal(2))
    for operation in (operator.add, operator.truediv, operator.floordiv, operator.mod, operator.lt, operator.iadd):
        for pair in itertools.product(kinds, kinds):
            wanted = theirs.resolve_function_type(theirs.resolve_value_type(operation), pair, {})
            for _ in range(2):
                assert ours.resolve_function_type(ours.resolve_value_type(operation), pair, {}) == wanted
    for place in (types.uint64, types.UniTuple(types.int64, 2), types.Tuple((types.literal(0), types.uint64))):
        pair = (types.Array(types.float32, 2, "F", readonly=True), place)
        wanted = theirs.resolve_function_type(operator.getitem, pair, {})
        assert all(ours.resolve_function_type(operator.getitem, pair, {}) == wanted for _ in range(2))


def add_one(x):
    return x + 1.0


def add_two(x):
    return add_one(x) + 1.0


def tripled(x):
    def times(factor):
        return factor * x

    return times(3.0)


@kernel
def nested_functions(out):
    """Call one function in two ways, and a function within a function."""
    out[0] = add_one(1.0) + add_two(1.0)
    out[1] = tripled(out[0])


def test_a_function_that_is_reached_in_two_ways_is_one_function():
    out = np.zeros(2)
    nested_functions(out)
    np.testing.assert_array_equal(out, [5.0, 15.0])


UNKNOWN_NUMBA = """
import numba

numba.version_info = numba.version_info._replace(minor=99, short=(0, 99))
import numpy as np
import sparseopt as so
from sparseopt._jit.options import FLAGS

assert "pipeline_class" not in FLAGS
problem = so.Problem(so.LeastSquares(np.eye(3), [3.0, 0.1, -2.0]), so.L1(0.1))
print(so.solve(problem, so.CoordinateDescent()).w.round(9).tolist())
"""


def test_a_release_of_numba_that_is_not_known_compiles_in_its_own_way(run):
    """What we change of its compiler rests on names that it may rename."""
    assert run(UNKNOWN_NUMBA) == "[2.7, 0.0, -1.7]"


INTERRUPTED = """
import _thread
import threading
import time
from numba.core import compiler
import numpy as np
import sparseopt as so

problem = so.Problem(so.LeastSquares(np.eye(3), [3.0, 0.1, -2.0]), so.L1(0.1))
lowered = compiler.Compiler.compile_extra

def interrupted(*arguments):
    try:
        # as from a callback of C, which drops what is raised in it
        _thread.interrupt_main()
        time.sleep(0.01)
    except KeyboardInterrupt:
        pass
    return lowered(*arguments)

compiler.Compiler.compile_extra = interrupted
try:
    so.solve(problem, so.CoordinateDescent())
except KeyboardInterrupt:
    compiler.Compiler.compile_extra = lowered
    print(so.solve(problem, so.CoordinateDescent()).w.round(9).tolist())
"""


def test_an_interrupt_of_a_compilation_is_raised_at_its_end(run):
    assert run(INTERRUPTED) == "[2.7, 0.0, -1.7]"


@kernel
def move_parts(a, A, first, last, unsigned, found):
    """Write to vectors that are rows and parts of arrays."""
    row, part, rest = A[first], A[-1, first:last], a[first:]
    for t in range(row.size):
        row[t] += 1.0
    for t in range(part.size):
        part[t] *= 2.0
    for t in range(rest.size):
        rest[t] += rest[rest.size - 1]
    found[0], found[1], found[2], found[3] = part.size, a[:last].size, a[first:last][1:].size, A[unsigned, :2].shape[0]
    A[unsigned][first] = found[2]


@pytest.mark.parametrize("kind", [np.float64, np.float32, np.int32])
def test_rows_and_parts_are_cut_as_python_does(kind):
    """From the end too, beyond the ends, and where nothing is left."""
    bounds = [-7, -5, -3, -1, 0, 2, 4, 5, 9]
    for first, last in itertools.product(bounds, bounds):
        if not -5 <= first < 5:
            continue
        arrays = []
        for move in (move_parts, getattr(move_parts, "py_func", move_parts)):
            a, A, found = np.arange(5).astype(kind), np.arange(25).reshape(5, 5).astype(kind), np.zeros(4)
            move(a, A, first, last, np.uint64(1), found)
            arrays.append((a, A, found))
        for ours, pythons in zip(*arrays, strict=True):
            np.testing.assert_array_equal(ours, pythons)


@kernel
def sums_of_parts(a, A, first, last):
    """The sums of some parts of arrays, which may be read only and in any order."""
    total, part, row, whole = 0.0, a[first:last], A[1, first:last], A[2]
    for t in range(part.size):
        total += part[t] * (t + 1)
    for t in range(row.size):
        total += row[t] * (t + 1)
    for t in range(whole.size):
        total += whole[t] * (t + 1)
    return total


@pytest.mark.parametrize("arrange", [np.asarray, np.asfortranarray, lambda A: A[:, ::-1], lambda A: A[::2]])
def test_parts_are_read_in_any_order_of_memory(arrange):
    A, a = arrange(np.arange(36.0).reshape(6, 6)), np.arange(12.0)[::2]
    for memory in (a, a.copy()):
        memory.flags.writeable = False
        for first, last in itertools.product(range(-7, 8), repeat=2):
            wanted = sum(v @ np.arange(1, v.size + 1) for v in (memory[first:last], A[1, first:last], A[2]))
            assert sums_of_parts(memory, A, first, last) == wanted
