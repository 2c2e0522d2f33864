"""Epochs, iterations and calls: ours against loops written by hand, and against BLAS.

    python -m benchmarks.kernels [--rounds N] [--only TEXT]

Both sides work in the same arrays, so that neither has the better alignment, and take turns.
Of the times the fastest is taken: in so short loops noise only ever adds.
"""

import argparse

import numpy as np
from scipy import sparse
from sparseopt import L1, CoordinateDescent, LeastSquares, Logistic, Problem, ProximalGradient

from benchmarks.kernels import loops
from benchmarks.measure import cpu_seconds, race
from benchmarks.report import markdown, save

# Entries of X that one timed run visits: some 2 ms, long beside the clock's and the call's microseconds.
WORK = 1e7
SHAPES = ((50, 2000), (200, 1000), (1000, 1000), (10_000, 500))
# Rows, columns and entries a column. The last but one is out of the second cache, the last out of it by far.
SPARSE = (
    (50, 2000, 10),
    (1000, 1000, 10),
    (1000, 1000, 40),
    (1000, 1000, 200),
    (10_000, 500, 100),
    (10_000, 50_000, 10),
)
IMAGES = ((200, 1000), (1000, 1000), (1000, 5000), (2000, 5000))


def dense(n, p, dtype, _entries=None):
    """Fortran-ordered X of normal numbers."""
    return np.asfortranarray(np.random.default_rng(0).standard_normal((n, p)).astype(dtype))


def columns(n, p, dtype, entries):
    """CSC X with so many normal numbers in each column, at random rows."""
    rng = np.random.default_rng(0)
    rows = np.concatenate([np.sort(rng.choice(n, entries, replace=False)) for _ in range(p)])
    parts = (
        rng.standard_normal(p * entries).astype(dtype),
        rows.astype(np.int32),
        np.arange(p + 1, dtype=np.int32) * entries,
    )
    return sparse.csc_array(parts, shape=(n, p))


def epoch_row(loss_class, X, regime, rounds):
    """An epoch where no coefficient leaves zero (columns are read), or where each one moves (read and added)."""
    n, p = X.shape
    rng = np.random.default_rng(1)
    y = (X @ rng.standard_normal(p).astype(X.dtype) + rng.standard_normal(n)).astype(X.dtype)
    loss = loss_class(X, np.sign(y) if loss_class is Logistic else y)
    slopes = np.abs(loss.gradient(np.zeros(p)))
    penalty = L1(2 * slopes.max() if regime == "reads" else 0.0)
    problem, solver = Problem(loss, penalty), CoordinateDescent(newton=False)
    state = solver.init(problem, np.zeros(p, dtype=X.dtype))
    start = state.running.copy()
    entries = X.nnz if sparse.issparse(X) else X.size
    epochs = int(np.clip(WORK / entries, 2, 100))

    def prepare():
        state.w[:], state.running[:], state.iterations = 0, start, 0

    def ours():
        while state.iterations < epochs:
            solver.step(problem, state, -1.0, epochs - state.iterations)

    matrix = (loss.X.data, loss.X.indices, loss.X.indptr) if sparse.issparse(X) else (loss.X.values,)
    targets = (loss.y,) if loss_class is Logistic else ()
    vectors = (state.running[:n], state.running[n + 1 : 2 * n + 1]) if loss_class is Logistic else (state.running[:n],)
    name = ("logistic" if loss_class is Logistic else "least_squares") + ("_csc" if sparse.issparse(X) else "_dense")
    loop = getattr(loops, name)
    weight = loss.sample_weight.values

    def by_hand():
        loop(*matrix, *targets, state.w, *vectors, state.curvatures, penalty.alpha, weight, epochs)

    agree(ours, by_hand, prepare, state.w)
    times = race({"ours": ours, "by hand": by_hand}, rounds, prepare)
    visits = epochs * entries * (1 if regime == "reads" else 2)
    fastest = {name: min(seconds) for name, seconds in times.items()}
    return {
        "loss": loss_class.__name__,
        "storage": f"CSC {entries // p} a column" if sparse.issparse(X) else "dense",
        "type": X.dtype.name,
        "n": n,
        "p": p,
        "regime": regime,
        "ours us": 1e6 * fastest["ours"] / epochs,
        "by hand us": 1e6 * fastest["by hand"] / epochs,
        "ratio": fastest["ours"] / fastest["by hand"],
        "ours ns an entry": 1e9 * fastest["ours"] / visits,
    }


def iteration_row(n, p, dtype, regime, rounds):
    """An iteration of FISTA where w is sparse or where it is dense, by hand and as its two products by BLAS."""
    X = dense(n, p, dtype)
    rng = np.random.default_rng(1)
    y = (X @ (rng.standard_normal(p) * (rng.random(p) < 0.02)) + rng.standard_normal(n)).astype(dtype)
    loss = LeastSquares(X, y)
    penalty = L1(np.abs(loss.gradient(np.zeros(p))).max() * (0.1 if regime == "sparse" else 1e-6))
    problem, solver = Problem(loss, penalty), ProximalGradient()
    state = solver.init(problem, np.zeros(p, dtype=dtype))
    kept = [array.copy() for array in (state.w, state.v, *state.images, state.numbers)]
    # So few that float32 is not at the solution, where steps would be halved for nothing but rounding.
    iterations = int(np.clip(4 * WORK / X.size, 4, 10))

    def prepare():
        for array, before in zip((state.w, state.v, *state.images, state.numbers), kept, strict=True):
            array[...] = before
        state.iterations = 0

    def ours():
        while state.iterations < iterations:
            solver.step(problem, state, -1.0, iterations - state.iterations)

    image_w, image_v, image_new, u = state.images[:4]
    weight, step = loss.sample_weight.values, kept[-1][0]

    def by_hand():
        loops.fista_dense(
            X, loss.target, penalty.alpha, weight, state.w, state.v, state.new, image_w[:n], image_v[:n], image_new[:n],
            u[:n], state.slope, step, 1.05, iterations,
        )  # fmt: skip

    forward, backward = rng.standard_normal(p).astype(dtype), rng.standard_normal(n).astype(dtype)

    def blas():
        for _ in range(iterations):
            X @ forward
            X.T @ backward

    agree(ours, by_hand, prepare, state.w)
    times = {
        name: min(t) for name, t in race({"ours": ours, "by hand": by_hand, "BLAS": blas}, rounds, prepare).items()
    }
    return {
        "type": np.dtype(dtype).name,
        "n": n,
        "p": p,
        "w": regime,
        "ours us": 1e6 * times["ours"] / iterations,
        "by hand us": 1e6 * times["by hand"] / iterations,
        "BLAS us": 1e6 * times["BLAS"] / iterations,
        "ratio to by hand": times["ours"] / times["by hand"],
        "ratio to BLAS": times["ours"] / times["BLAS"],
    }


def agree(ours, by_hand, prepare, w):
    """Run both once, which compiles them, and make sure that they did the same work."""
    ends = []
    for run in (ours, by_hand):
        prepare()
        run()
        ends.append(w.copy())
    far = np.abs(ends[0] - ends[1]).max()
    # Sums are taken in another order, and the differences grow with the moves.
    if far > 1e3 * np.finfo(w.dtype).eps * max(np.abs(ends[0]).max(), np.finfo(w.dtype).tiny) * np.sqrt(w.size):
        raise AssertionError(
            f"ours and the loop by hand end {far:.1e} apart; they must make the same moves to be compared."
        )


def call_rows(rounds, calls=2000):
    """Microseconds of a call that has nothing to do: a matrix with one entry, by the solver and by hand."""
    X = np.ones((1, 1), order="F")
    loss, penalty = LeastSquares(X, np.ones(1)), L1(0.1)
    problem, solver = Problem(loss, penalty), CoordinateDescent(newton=False)
    state = solver.init(problem, np.zeros(1))
    weight = loss.sample_weight.values

    def ours():
        for _ in range(calls):
            solver.step(problem, state, -1.0, 1)

    def by_hand():
        for _ in range(calls):
            loops.least_squares_dense(X, state.w, state.running, state.curvatures, penalty.alpha, weight, 1)

    cpu_seconds(ours)
    cpu_seconds(by_hand)
    times = race({"solver step": ours, "njit function by hand": by_hand}, rounds)
    return [{"call": name, "us": 1e6 * min(seconds) / calls} for name, seconds in times.items()]


def exponential_rows(rounds, size=10_000):
    """Nanoseconds of an exponential, which is most of the work of a logistic epoch."""
    rows = []
    for dtype in (np.float64, np.float32):
        x = np.random.default_rng(0).standard_normal(size).astype(dtype)
        out = np.empty_like(x)
        calls = {
            "ours": lambda: loops.exponential(x, out),  # noqa: B023 (called at once, as those below)
            "C library": lambda: loops.exponential_of_libm(x, out),  # noqa: B023
            "numpy": lambda: np.exp(x, out=out),  # noqa: B023
        }
        for call in calls.values():
            call()
        times = race(calls, rounds)
        rows.append({"type": np.dtype(dtype).name} | {f"{name} ns": 1e9 * min(t) / size for name, t in times.items()})
    return rows


def main():
    """Measure, print and save."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.kernels", description="Loops against loops by hand.")
    parser.add_argument("--rounds", type=int, default=25, help="runs of each loop (default 25)")
    parser.add_argument(
        "--only", default="", help="only rows whose title or storage contains this text; nothing is saved then"
    )
    options = parser.parse_args()
    tasks = []
    types = (np.float64, np.float32)
    for loss in (LeastSquares, Logistic):
        for make, shapes in ((dense, SHAPES), (columns, SPARSE)):
            tasks += [
                (
                    "coordinate descent epochs",
                    f"{loss.__name__} {make.__name__} {np.dtype(dtype).name} {shape} {regime}",
                    loss,
                    make,
                    shape,
                    dtype,
                    regime,
                )
                for dtype in types
                for shape in shapes
                for regime in ("reads", "moves")
            ]
    tables = {}
    for title, name, loss, make, shape, dtype, regime in tasks:
        if options.only in f"{title} {name}":
            n, p, *entries = shape
            row = epoch_row(loss, make(n, p, dtype, *entries), regime, options.rounds)
            tables.setdefault(title, []).append(row)
            print(markdown([row]).splitlines()[-1], flush=True)
    title = "FISTA iterations"
    for dtype in types:
        for n, p in IMAGES:
            for regime in ("sparse", "dense"):
                if options.only in f"{title} {np.dtype(dtype).name} {(n, p)} {regime}":
                    row = iteration_row(n, p, dtype, regime, options.rounds)
                    tables.setdefault(title, []).append(row)
                    print(markdown([row]).splitlines()[-1], flush=True)
    title = "calls"
    if options.only in title:
        tables[title] = call_rows(options.rounds)
        print(markdown(tables[title]))
    title = "exponential"
    if options.only in title:
        tables[title] = exponential_rows(options.rounds)
        print(markdown(tables[title]))
    if not options.only:
        save("kernels", tables)


if __name__ == "__main__":
    main()
