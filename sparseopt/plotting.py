"""Pictures of results: a path, a choice on it, how a run converged, a mask, a pruning. Needs matplotlib."""

from collections.abc import Mapping

import numpy as np

from sparseopt.penalties import ProximalTerm

# Okabe and Ito (2008): told apart by colour-blind readers and in print
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")


def plot_path(path, names=None, axes=None, *, labels=6):
    """Coefficients along a path, against the strength of the penalty.

    Parameters
    ----------
    path : Path
        What `path()` returned.
    names : sequence of str, optional
        Names of the columns, for the legend.
    axes : matplotlib Axes, optional
        Where to draw; a new figure by default.
    labels : int
        How many coefficients, the largest on average, get a colour and a name; the others are grey.

    Returns
    -------
    matplotlib Axes
    """
    axes = _axes(axes)
    shape, strengths = path[0].w.shape, _strengths(path, "plot_path")
    w = path.w.reshape(len(path), -1)
    size = np.abs(w).mean(axis=0)
    named = np.argsort(-size, kind="stable")[: min(labels, np.count_nonzero(size))]
    quiet = np.setdiff1d(np.flatnonzero(size), named)
    axes.plot(strengths, w[:, quiet], color="#B8B8B8", linewidth=0.8)
    for rank, j in enumerate(named):
        row, *output = np.unravel_index(j, shape)
        name = f"column {row}" if names is None else str(names[row])
        name += "".join(f", output {k}" for k in output)
        axes.plot(strengths, w[:, j], color=COLOURS[rank % len(COLOURS)], linewidth=1.8, label=name)
    axes.axhline(0, color="black", linewidth=0.6)
    _axis_to_weaker(axes, path.terms[0], strengths)
    axes.set_ylabel("coefficient")
    if named.size:
        axes.legend(frameon=False, fontsize="small", loc="upper left")
    return _clean(axes)


def plot_cross_validation(found, axes=None):
    """Mean error of each penalty with its standard error, and the two choices.

    Parameters
    ----------
    found : CrossValidation
        What `cross_validate` returned.
    axes : matplotlib Axes, optional
        Where to draw; a new figure by default.

    Returns
    -------
    matplotlib Axes
    """
    axes = _axes(axes)
    strengths = _strengths(found.path, "plot_cross_validation")
    mean, spread = found.mean, np.nan_to_num(found.standard_error)
    axes.fill_between(strengths, mean - spread, mean + spread, color=COLOURS[0], alpha=0.15, linewidth=0)
    axes.plot(strengths, mean, color=COLOURS[0], linewidth=1.8, label="mean error, one standard error")
    choices = (
        (found.best, "least error", COLOURS[1]),
        (found.one_standard_error, "within one standard error", COLOURS[2]),
    )
    for index, name, colour in choices:
        label = f"{name}: {found.path[index].support.size} columns"
        axes.axvline(strengths[index], color=colour, linestyle="--", linewidth=1.2, label=label)
    _axis_to_weaker(axes, found.penalties[0], strengths)
    axes.set_ylabel("error on held-out rows")
    axes.legend(frameon=False, fontsize="small")
    return _clean(axes)


def plot_stability(found, names=None, axes=None, *, labels=6):
    """How often each column is selected on half of the rows, against the strength of the penalty.

    Parameters
    ----------
    found : StabilitySelection
        What `stability_selection` returned.
    names : sequence of str, optional
        Names of the columns, for the legend; by default those of the data.
    axes : matplotlib Axes, optional
        Where to draw; a new figure by default.
    labels : int
        How many of the stable columns get a colour and a name; columns that are not stable are grey.

    Returns
    -------
    matplotlib Axes
    """
    axes = _axes(axes)
    strengths = _strengths(found, "plot_stability")
    names = found.feature_names if names is None else names
    order = np.argsort(-found.stability, kind="stable")
    named = order[: min(labels, found.support.size)]
    quiet = np.setdiff1d(np.flatnonzero(found.stability), named)
    axes.plot(strengths, found.probabilities[:, quiet], color="#B8B8B8", linewidth=0.8)
    for rank, j in enumerate(named):
        name = f"column {j}" if names is None else str(names[j])
        axes.plot(strengths, found.probabilities[:, j], color=COLOURS[rank % len(COLOURS)], linewidth=1.8, label=name)
    axes.axhline(found.threshold, color="black", linestyle=":", linewidth=1.0)
    _axis_to_weaker(axes, found.penalties[0], strengths)
    axes.set_ylabel("part of the halves that select it")
    axes.set_ylim(-0.02, 1.02)
    if named.size:
        axes.legend(frameon=False, fontsize="small")
    return _clean(axes)


def plot_convergence(solution, axes=None):
    """Objective above the best proven bound, and the solver's residual, against time.

    Parameters
    ----------
    solution : Solution
        From ``solve(..., trace=True)``.
    axes : matplotlib Axes, optional
        Where to draw; a new figure by default.

    Returns
    -------
    matplotlib Axes
    """
    if not solution.trace:
        raise ValueError("plot_convergence: the solution has no trace; run solve(..., trace=True).")
    axes = _axes(axes)
    seconds = np.array([point.seconds for point in solution.trace])
    objective = np.array([point.objective for point in solution.trace])
    residual = np.array([point.residual for point in solution.trace])
    bound = solution.certificate.lower_bound
    reference, label = (
        (bound, "objective - proven bound") if np.isfinite(bound) else (objective.min(), "objective - best seen")
    )
    for values, name, marker, colour in (
        (objective - reference, label, "o", COLOURS[0]),
        (residual, "residual of the solver", "s", COLOURS[1]),
    ):
        shown = np.isfinite(values) & (values > 0)  # a logarithmic axis has no zero
        axes.plot(seconds[shown], values[shown], marker=marker, markersize=3, color=colour, label=name)
    axes.set_yscale("log")
    axes.set_xlabel("seconds")
    axes.legend(frameon=False, fontsize="small")
    return _clean(axes)


def plot_bounds(solution, axes=None):
    """The best subset so far and the proven bound below it, against time: a branch and bound that closes its gap.

    Parameters
    ----------
    solution : Solution
        From ``solve(..., BranchAndBound(), trace=True)``.
    axes : matplotlib Axes, optional
        Where to draw; a new figure by default.

    Returns
    -------
    matplotlib Axes
    """
    if not solution.trace:
        raise ValueError("plot_bounds: the solution has no trace; run solve(..., trace=True).")
    certificate = solution.certificate
    seconds = np.array([*(point.seconds for point in solution.trace), solution.seconds])
    objective = np.array([*(point.objective for point in solution.trace), certificate.objective])
    bound = np.array([*(point.lower_bound for point in solution.trace), certificate.lower_bound])
    proven = np.isfinite(bound)
    if not proven.any():
        raise ValueError("plot_bounds: nothing was proven on the way; plot_convergence draws such a run.")
    axes = _axes(axes)
    axes.step(seconds, objective, where="post", color=COLOURS[0], linewidth=1.8, label="best subset so far")
    axes.step(seconds[proven], bound[proven], where="post", color=COLOURS[1], linewidth=1.8, label="proven bound")
    axes.fill_between(
        seconds[proven], bound[proven], objective[proven], step="post", color=COLOURS[0], alpha=0.12, linewidth=0
    )
    # the first bounds may lie far below all that is of interest
    span = max(objective[0] - objective[-1], objective[-1] - bound[-1], 0.1 * abs(objective[-1]))
    axes.set_ylim(bottom=max(bound[proven].min(), objective[-1] - span) - 0.05 * span)
    axes.set_title(f"relative gap {certificate.relative_gap:.1e} at the end", fontsize="small")
    axes.set_xlabel("seconds")
    axes.set_ylabel("objective")
    axes.legend(frameon=False, fontsize="small")
    return _clean(axes)


def plot_mask(mask, axes=None):
    """Which weights a mask keeps (dark) and drops (light), one panel per named weight.

    Parameters
    ----------
    mask : Mask
        A vector is drawn as one row, a convolution as its outputs by all weights of each.
    axes : sequence of matplotlib Axes, optional
        One per weight; a new figure by default.

    Returns
    -------
    matplotlib Figure
    """
    from matplotlib import pyplot as plt
    from matplotlib.colors import ListedColormap

    weights = {name: np.atleast_2d(keep) for name, keep in mask.items()}
    weights = {name: keep.reshape(len(keep), -1) if keep.size else keep for name, keep in weights.items()}
    if axes is None:
        widths = [max(keep.shape[1], keep.shape[0] / 3) for keep in weights.values()]
        _, axes = plt.subplots(
            1, len(weights), figsize=(7, 3), width_ratios=widths, squeeze=False, layout="constrained"
        )
    for panel, (name, keep) in zip(np.ravel(axes), weights.items(), strict=True):
        panel.imshow(
            keep, cmap=ListedColormap(["#EDEDED", COLOURS[0]]), vmin=0, vmax=1, aspect="auto", interpolation="nearest"
        )
        panel.set_title(f"{name}: {keep.mean():.0%} kept", fontsize="small")
        panel.set_xticks([])
        panel.set_yticks([])
    return np.ravel(axes)[0].figure


def plot_pruning(pruned, axes=None):
    """The trace of a pruning run: the part of the weights that is zero, and the quality, after each step.

    Parameters
    ----------
    pruned : Pruned
        What `prune` returned.
    axes : matplotlib Axes, optional
        Where to draw; a new figure by default.

    Returns
    -------
    matplotlib Axes
        Of the quality; the sparsity has an axis of its own at the right.
    """
    if not pruned.steps:
        raise ValueError("plot_pruning: the result has no steps; give what prune() returned.")
    axes = _axes(axes)
    steps = np.arange(len(pruned.steps) + 1)
    quality = np.array([pruned.dense_quality, *(step.quality for step in pruned.steps)])
    sparsity = np.array([0.0, *(step.sparsity for step in pruned.steps)])
    accepted = np.array([True, *(step.accepted for step in pruned.steps)])
    right = axes.twinx()
    right.fill_between(steps, sparsity, step="mid", color="#B8B8B8", alpha=0.35, linewidth=0)
    right.set_ylim(0, 1)
    right.set_ylabel("part of the weights that is zero")
    right.spines["top"].set_visible(False)
    axes.set_zorder(right.get_zorder() + 1)
    axes.patch.set_visible(False)
    axes.plot(steps, quality, marker="o", markersize=3, color=COLOURS[0], linewidth=1.8, label="quality")
    axes.plot(steps[~accepted], quality[~accepted], "x", color=COLOURS[1], label="not accepted")
    axes.axhline(pruned.dense_quality, color="black", linestyle=":", linewidth=1.0, label="before pruning")
    axes.set_xlabel("step")
    axes.set_ylabel("quality")
    axes.legend(frameon=False, fontsize="small", loc="lower left")
    return _clean(axes)


def plot_sparsities(runs, axes=None, *, quality=None):
    """Quality against sparsity, one curve for each method: what a weight fewer costs.

    Parameters
    ----------
    runs : mapping of str to sequence of Pruned, or PruningCrossValidation
        Results of one method at several sparsities, by the name that the legend shows; or what `prune_cv` returned.
    axes : matplotlib Axes, optional
        Where to draw; a new figure by default.
    quality : callable (model) -> float, optional
        What is drawn; by default the quality that each run has measured.

    Returns
    -------
    matplotlib Axes
    """
    axes = _axes(axes)
    if isinstance(runs, Mapping):
        for rank, (label, results) in enumerate(runs.items()):
            found = sorted(results, key=lambda run: -run.mask.density)
            zeros = [1 - run.mask.density for run in found]
            values = [run.quality if quality is None else quality(run.model) for run in found]
            axes.plot(zeros, values, marker="o", markersize=4, color=COLOURS[rank % len(COLOURS)], label=label)
    else:
        zeros, mean, spread = runs.sparsities.mean(axis=0), runs.mean, runs.standard_error
        axes.fill_between(zeros, mean - spread, mean + spread, color=COLOURS[0], alpha=0.15, linewidth=0)
        axes.plot(zeros, mean, marker="o", markersize=4, color=COLOURS[0], label="mean, one standard error")
        label = f"chosen: {runs.name} {runs.candidates[runs.chosen]:g}"
        axes.axvline(zeros[runs.chosen], color=COLOURS[2], linestyle="--", linewidth=1.2, label=label)
        axes.axhline(runs.dense_qualities.mean(), color="black", linestyle=":", linewidth=1.0, label="before pruning")
    axes.set_xlabel("part of the weights that is zero")
    axes.set_ylabel("quality")
    axes.legend(frameon=False, fontsize="small", loc="lower left")
    return _clean(axes)


def _strengths(found, verb):
    """The strength of each penalty, or k of each cardinality."""
    if np.any(np.isnan(found.alphas)):
        raise ValueError(f"{verb}: a penalty has neither alpha nor k; give a path over terms that have one.")
    return found.alphas


def _axis_to_weaker(axes, term, strengths):
    from matplotlib.ticker import FormatStrFormatter, LogLocator, NullFormatter

    if not isinstance(term, ProximalTerm):
        axes.set_xlabel("nonzero coefficients allowed")
        return
    axes.set_xlabel("alpha (weaker penalty to the right)")
    if not np.any(strengths > 0.0):
        return  # of data that no penalty has to hold at zero
    axes.set_xscale("log")
    axes.invert_xaxis()
    axes.xaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
    axes.xaxis.set_major_formatter(FormatStrFormatter("%g"))
    axes.xaxis.set_minor_formatter(NullFormatter())


def _axes(axes):
    if axes is not None:
        return axes
    from matplotlib import pyplot as plt

    return plt.subplots(figsize=(6.4, 4), layout="constrained")[1]


def _clean(axes):
    axes.spines[["top", "right"]].set_visible(False)
    return axes
