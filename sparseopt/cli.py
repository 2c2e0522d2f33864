"""The command line: `sparseopt demo | solve | path | prune | info | warmup`."""

import argparse
import importlib.metadata
import os
import platform
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np

import sparseopt as so
from sparseopt import pruning, report
from sparseopt._store import bundle_directories, cache_directory
from sparseopt.reading import Dataset, read, read_arrays
from sparseopt.warmup import warmup

LOSSES = {"least-squares": so.LeastSquares, "logistic": so.Logistic, "huber": so.Huber}
PENALTIES = {"none": so.Zero, "l1": so.L1, "l0": so.L0, "mcp": so.MCP, "scad": so.SCAD}
CURVED = ("mcp", "scad")
SOLVERS = {
    "proximal-gradient": so.ProximalGradient,
    "coordinate-descent": so.CoordinateDescent,
    "hard-thresholding": so.HardThresholding,
    "active-set": so.ActiveSet,
    "interior-point": so.InteriorPoint,
    "local-search": so.LocalSearch,
    "operator-splitting": so.OperatorSplitting,
}
PRUNING_METHODS: dict[str, Callable] = {
    "layerwise-l0": pruning.LayerwiseL0,
    "magnitude": pruning.Magnitude,
    "random": pruning.Random,
    "gradient": pruning.GradientMagnitude,
    "first-order": pruning.FirstOrder,
    "optimal-brain-damage": pruning.OptimalBrainDamage,
    "optimal-brain-surgeon": pruning.OptimalBrainSurgeon,
    "wanda": pruning.Wanda,
}
SCHEDULES: dict[str, Callable] = {
    "one-shot": lambda steps: pruning.OneShot(),  # noqa: ARG005, each has the same face
    "linear": pruning.Linear,
    "cubic": pruning.Cubic,
    "exponential": pruning.Exponential,
}
EXIT_CODES = """\
exit codes: 0 every run met its tolerance; 1 some did not (the printed status says why);
            2 wrong usage or data; 130 interrupted"""
MOST_LINES = 30  # coefficients printed; --out has them all


def main(argv=None) -> int:
    """Run one command; returns its exit code."""
    arguments = _parser().parse_args(argv)
    try:
        return arguments.run(arguments)
    except ModuleNotFoundError as error:
        needed = f"{error.name} is needed and not installed; pip install 'sparseopt[demo]'"
        print(f"sparseopt {arguments.command}: {needed}", file=sys.stderr)
        return 2
    except (ValueError, RuntimeError, OSError, so.UnsupportedProblem) as error:
        print(f"sparseopt {arguments.command}: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print(f"sparseopt {arguments.command}: interrupted", file=sys.stderr)
        return 130


def run_demo(arguments) -> int:
    """The main job, end to end on data inside scikit-learn."""
    from sparseopt.demo import demo  # noqa: PLC0415, needs scikit-learn and matplotlib

    demo(arguments.out)
    return 0


def run_solve(arguments) -> int:
    """One problem from a data file."""
    _check_suffix(arguments.out, ".json", ".npz")
    data, scale = _scaled(read(arguments.data, arguments.target), arguments.standardize)
    loss = _loss(arguments, data)
    problem = so.Problem(loss, _penalty(arguments, _alpha(arguments, loss)), _constraint(arguments))
    solution = so.solve(problem, _solver(arguments), **_limits(arguments), progress=_shows_progress(arguments))
    w = solution.w / scale
    print(f"{arguments.data}: {len(data.y)} rows, {len(data.names)} columns, {arguments.loss}")
    print(f"penalty {problem.penalty!r}, constraint {problem.constraint!r}")
    print(f"{solution.status.name}: {solution.status.value}")
    print(f"certificate: {solution.certificate.summary}")
    _print_coefficients(w, solution.intercept, data.names)
    if arguments.out is not None:
        named = report.solution_data(solution, w, data.names)
        _write(arguments.out, named, w=w, intercept=solution.intercept, support=solution.support)
    return 0 if solution.status is so.Status.CONVERGED else 1


def run_path(arguments) -> int:
    """A decreasing sequence of penalties, each solution started from the last."""
    _check_suffix(arguments.out, ".json", ".npz", ".png")
    data, scale = _scaled(read(arguments.data, arguments.target), arguments.standardize)
    loss = _loss(arguments, data)
    alphas = so.alpha_grid(loss, arguments.count, arguments.smallest, _bare_penalty(arguments, 1.0))
    penalties = [_penalty(arguments, alpha) for alpha in alphas]
    solutions = so.path(
        so.Problem(loss), penalties, _solver(arguments), **_limits(arguments), progress=_shows_progress(arguments)
    )
    print("       alpha  nonzero     objective  certificate")
    for alpha, solution in zip(solutions.alphas, solutions, strict=True):
        certificate = solution.certificate
        print(f"{alpha:12.5g} {solution.support.size:8d} {certificate.objective:13.6g}  {certificate.summary}")
    if arguments.out is not None and arguments.out.suffix == ".png":
        _draw(arguments.out, solutions, data.names)
    elif arguments.out is not None:
        named = [report.solution_data(solution, solution.w / scale, data.names) for solution in solutions]
        _write(arguments.out, {"path": named}, alphas=solutions.alphas, w=solutions.w / scale)
    return 0 if all(solution.status is so.Status.CONVERGED for solution in solutions) else 1


def run_prune(arguments) -> int:
    """A network from an .npz file, pruned on the rows of a data file."""
    _check_suffix(arguments.out, ".npz")
    network, names = _network(arguments.network, arguments.activation, arguments.link)
    data = read(arguments.data, arguments.target)
    samples = data.X
    is_table = Path(arguments.data).suffix.lower() in {".csv", ".parquet"}
    is_short = samples.shape[1] + 1 == len(network.weights[0])
    if is_table and is_short and arguments.no_labels and arguments.target is None:
        # The last column of a table is no target where the network reads all of them.
        samples = np.column_stack([samples, data.y])
    method = PRUNING_METHODS[arguments.method]()
    if isinstance(method, pruning.Score):
        method = pruning.Scored(method, refit=not arguments.no_refit)
    pruned = so.prune(
        network,
        samples,
        None if arguments.no_labels else data.y,
        sparsity=arguments.sparsity,
        threshold=arguments.threshold,
        method=method,
        scope=arguments.scope,
        schedule=SCHEDULES[arguments.schedule](arguments.steps),
        refit=pruning.Adam(epochs=arguments.epochs) if arguments.epochs else None,
        time_limit=np.inf if arguments.time_limit is None else arguments.time_limit,
        progress=_shows_progress(arguments),
    )
    print(f"{arguments.network}: {pruned.mask.kept} of {pruned.mask.total} weights kept in {pruned.seconds:.1f} s")
    print(f"quality {pruned.dense_quality:.4g} before, {pruned.quality:.4g} after; {pruned.reason}")
    for layer in pruned.layers:
        print(f"  {layer.name}: {layer.kept} of {layer.total} weights, relative error {layer.error:.3g}")
    if arguments.out is not None:
        arrays = [*pruned.model.weights, *(pruned.model.biases or ())]
        arguments.out.parent.mkdir(parents=True, exist_ok=True)
        np.savez(arguments.out, **dict(zip(names, arrays, strict=True)))
    return 0 if pruned.status is pruning.PruningStatus.DONE else 1


def _network(file, activation, link):
    """The network of an .npz file, and the names of its weights and then of its biases."""
    arrays = read_arrays(file)
    weights = [name for name, array in arrays.items() if array.ndim == 2]
    biases = [name for name, array in arrays.items() if array.ndim == 1]
    if len(weights) + len(biases) != len(arrays) or len(biases) not in {0, len(weights)}:
        raise ValueError(
            f"{file} has {len(weights)} matrices, {len(biases)} vectors and {len(arrays)} arrays; "
            "give one matrix (inputs, outputs) for each layer in order, and one vector of biases for each, or none."
        )
    biases_or_none = [arrays[name] for name in biases] if biases else None
    return pruning.NumpyMLP([arrays[name] for name in weights], biases_or_none, activation, link), [*weights, *biases]


def run_info(arguments) -> int:  # noqa: ARG001, each command has the same face
    """Versions, cache and threads: what a report of a fault should hold."""
    print(f"sparseopt    {so.__version__}")
    print(f"python       {platform.python_version()} on {platform.machine()} {platform.system()}")
    for name in ("numpy", "scipy", "numba", "scikit-learn", "cvxpy", "matplotlib", "torch", "pyarrow"):
        try:
            print(f"{name:<12} {importlib.metadata.version(name)}")
        except importlib.metadata.PackageNotFoundError:
            print(f"{name:<12} -")
    threads = {name: os.environ.get(name, "-") for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS")}
    print(f"processors   {os.cpu_count()}; " + ", ".join(f"{name}={value}" for name, value in threads.items()))
    directory = cache_directory()
    if directory is None:
        print("cache        none: every process compiles anew; set SPARSEOPT_CACHE_DIR to a directory of yours")
    else:
        files = [entry.stat().st_size for entry in directory.iterdir() if entry.is_file()]
        print(f"cache        {directory}: {len(files)} files, {sum(files) / 1e6:.1f} MB")
    for bundle in bundle_directories():
        print(f"bundle       {bundle}")
    return 0


def run_warmup(arguments) -> int:
    """Compile the common combinations into the cache, or into a bundle."""
    progress = None if arguments.quiet else sys.stderr
    files = warmup(progress=progress, bundle=arguments.bundle)
    print(f"{files} kernels compiled" if arguments.bundle is None else f"{files} files in {arguments.bundle}")
    return 0


def _scaled(data, standardize):
    """The data with columns of unit standard deviation if asked for, and the scale of each column."""
    if not standardize:
        return data, 1.0
    X = data.X
    if isinstance(X, np.ndarray):
        scale = X.std(axis=0)
    else:
        mean, mean_square = X.mean(axis=0), X.power(2).mean(axis=0)
        scale = np.sqrt(np.maximum(mean_square - mean**2, 0.0))
    scale[scale == 0] = 1.0
    return Dataset(X / scale if isinstance(X, np.ndarray) else X.multiply(1 / scale).tocsc(), data.y, data.names), scale


def _loss(arguments, data):
    intercept = not arguments.no_intercept
    if arguments.loss == "huber":
        return so.Huber(data.X, data.y, delta=arguments.delta, intercept=intercept)
    return LOSSES[arguments.loss](data.X, data.y, intercept=intercept)


def _alpha(arguments, loss):
    if arguments.alpha_ratio is not None:
        return arguments.alpha_ratio * so.alpha_max(loss, _bare_penalty(arguments, 1.0))
    return arguments.alpha


def _bare_penalty(arguments, alpha):
    kind = arguments.penalty or ("none" if alpha is None else "l1")
    if (kind == "none") != (alpha is None):
        raise ValueError(f"penalty {kind!r} with alpha {alpha}; give a penalty and --alpha, or neither.")
    if kind == "none":
        return so.Zero()
    if arguments.gamma is None:
        return PENALTIES[kind](alpha)
    if kind not in CURVED:
        raise ValueError(f"penalty {kind!r} has no gamma; leave --gamma out, or use one of {', '.join(CURVED)}.")
    return PENALTIES[kind](alpha, arguments.gamma)


def _penalty(arguments, alpha):
    """The penalty of the arguments, with its rules around it."""
    penalty = _bare_penalty(arguments, alpha)
    if arguments.ridge:
        penalty = so.Ridged(penalty, arguments.ridge)
    if arguments.nonnegative:
        penalty = so.Nonnegative(penalty)
    return penalty


def _constraint(arguments):
    parts = []
    if arguments.k is not None:
        parts.append(so.Cardinality(arguments.k))
    if arguments.lower is not None or arguments.upper is not None:
        lower = -np.inf if arguments.lower is None else arguments.lower
        parts.append(so.Box(lower, np.inf if arguments.upper is None else arguments.upper))
    if not parts:
        return None
    return parts[0] if len(parts) == 1 else so.Intersection(*parts)


def _solver(arguments):
    return None if arguments.solver is None else SOLVERS[arguments.solver]()


def _limits(arguments):
    limits = {"tol": arguments.tol, "max_iter": arguments.max_iter, "time_limit": arguments.time_limit}
    return {name: value for name, value in limits.items() if value is not None}


def _shows_progress(arguments):
    return not arguments.quiet and sys.stderr.isatty()


def _print_coefficients(w, intercept, names):
    support = np.flatnonzero(w)
    order = support[np.argsort(-np.abs(w[support]), kind="stable")]
    width = max((len(names[j]) for j in order[:MOST_LINES]), default=0)
    print(f"{order.size} of {w.size} coefficients are not zero; intercept {intercept:.6g}")
    for j in order[:MOST_LINES]:
        print(f"  {names[j]:<{width}}  {w[j]: .6g}")
    if order.size > MOST_LINES:
        print(f"  and {order.size - MOST_LINES} smaller; --out FILE keeps them all")


def _write(file, named, **arrays):
    """JSON with names or NPZ with arrays, as the suffix of `file` says."""
    if file.suffix == ".json":
        report.write_json(file, named)
        return
    file.parent.mkdir(parents=True, exist_ok=True)
    np.savez(file, **arrays)


def _draw(file, solutions, names):
    from matplotlib.figure import Figure  # noqa: PLC0415, matplotlib is optional

    from sparseopt.plotting import plot_path  # noqa: PLC0415, the same

    figure = Figure(figsize=(6.4, 4), layout="constrained")
    plot_path(solutions, names, figure.subplots())
    file.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(file, dpi=150)


def _check_suffix(file, *known):
    if file is not None and file.suffix not in known:
        raise ValueError(f"--out {file}: unknown format {file.suffix!r}; use one of {', '.join(known)}.")


def _parser():
    parser = argparse.ArgumentParser(
        prog="sparseopt",
        description="Sparse solutions with a certificate.",
        epilog=EXIT_CODES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

    demo = _command(commands, "demo", run_demo)
    demo.add_argument("--out", type=Path, default=Path("sparseopt-demo"), help="folder of the report (%(default)s)")

    solve = _command(commands, "solve", run_solve)
    _add_problem(solve)
    strength = solve.add_mutually_exclusive_group()
    strength.add_argument("--alpha", type=float, help="strength of the penalty")
    strength.add_argument("--alpha-ratio", type=float, help="the same, over the least one whose solution is zero")
    solve.add_argument("--k", type=int, help="at most k nonzero coefficients")
    solve.add_argument("--lower", type=float, help="least value of a coefficient")
    solve.add_argument("--upper", type=float, help="largest value of a coefficient")
    solve.add_argument("--out", type=Path, help="write the solution to this .json or .npz file")

    path = _command(commands, "path", run_path)
    _add_problem(path)
    path.add_argument("--count", type=int, default=50, help="number of penalties (%(default)s)")
    path.add_argument("--smallest", type=float, default=1e-3, help="last alpha over the first (%(default)s)")
    path.add_argument("--out", type=Path, help="write the path to this .json, .npz or .png file")

    prune = _command(commands, "prune", run_prune)
    prune.add_argument("network", type=Path, help="an .npz file: matrices (inputs, outputs) in order, and biases")
    prune.add_argument("data", type=Path, help="a .csv, .npz or .parquet file of samples")
    prune.add_argument("--target", help="column of the labels in CSV and Parquet (the last one)")
    prune.add_argument(
        "--no-labels", action="store_true", help="keep what the network does; a table may have labels or none"
    )
    budget = prune.add_mutually_exclusive_group(required=True)
    budget.add_argument("--sparsity", type=float, help="part of the weights to be zero")
    budget.add_argument("--threshold", type=float, help="score below which weights go")
    prune.add_argument("--method", choices=PRUNING_METHODS, default="layerwise-l0", help="(%(default)s)")
    prune.add_argument("--no-refit", action="store_true", help="leave the kept weights of a score as they were")
    prune.add_argument(
        "--scope", choices=[scope.value for scope in pruning.Scope], default="network", help="(%(default)s)"
    )
    prune.add_argument("--schedule", choices=SCHEDULES, default="one-shot", help="(%(default)s)")
    prune.add_argument("--steps", type=int, default=10, help="steps of the schedule (%(default)s)")
    prune.add_argument("--epochs", type=float, default=0, help="epochs of training, shared by the steps (none)")
    prune.add_argument(
        "--activation", choices=[kind.value for kind in pruning.Activation], default="relu", help="(%(default)s)"
    )
    prune.add_argument(
        "--link", choices=[kind.value for kind in pruning.Link], default="identity", help="(%(default)s)"
    )
    prune.add_argument("--time-limit", type=float, help="most seconds")
    prune.add_argument("--out", type=Path, help="write the pruned arrays, by their names, to this .npz file")
    prune.add_argument("--quiet", action="store_true", help="no progress on the terminal")

    _command(commands, "info", run_info)
    warming = _command(commands, "warmup", run_warmup)
    warming.add_argument("--bundle", type=Path, help="write portable machine code into this folder instead")
    warming.add_argument("--quiet", action="store_true", help="no progress")
    return parser


def _command(commands, name, run):
    parser = commands.add_parser(name, help=run.__doc__, description=run.__doc__)
    parser.set_defaults(run=run)
    return parser


def _add_problem(parser):
    parser.add_argument("data", type=Path, help="a .csv, .npz, .svm, .libsvm, .svmlight or .parquet file")
    parser.add_argument("--target", help="column to explain in CSV and Parquet (the last one)")
    parser.add_argument("--loss", choices=LOSSES, default="least-squares", help="(%(default)s)")
    parser.add_argument("--delta", type=float, default=1.0, help="where Huber's loss turns linear (%(default)s)")
    parser.add_argument("--no-intercept", action="store_true", help="no constant term")
    parser.add_argument("--standardize", action="store_true", help="penalise columns of unit standard deviation")
    parser.add_argument("--penalty", choices=PENALTIES, help="(l1 where alpha is given)")
    parser.add_argument("--gamma", type=float, help="where MCP and SCAD turn flat")
    parser.add_argument("--ridge", type=float, default=0.0, help="strength of an added ridge (%(default)s)")
    parser.add_argument("--nonnegative", action="store_true", help="only coefficients >= 0")
    parser.add_argument("--solver", choices=SOLVERS, help="(the default of the problem)")
    parser.add_argument("--tol", type=float, default=1e-6, help="relative duality gap (%(default)s)")
    parser.add_argument("--max-iter", type=int, help="most iterations")
    parser.add_argument("--time-limit", type=float, help="most seconds")
    parser.add_argument("--quiet", action="store_true", help="no progress on the terminal")
