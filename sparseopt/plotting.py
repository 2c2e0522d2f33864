"""Pictures of results: a path, the convergence of a run, a mask. Needs matplotlib."""

import numpy as np

from sparseopt.penalties import Penalty

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
    w, strengths = path.w, path.alphas
    if np.any(np.isnan(strengths)):
        raise ValueError(f"plot_path: {path.terms[0]!r} has neither alpha nor k; give a path over terms that have one.")
    size = np.abs(w).mean(axis=0)
    named = np.argsort(-size, kind="stable")[: min(labels, np.count_nonzero(size))]
    quiet = np.setdiff1d(np.flatnonzero(size), named)
    axes.plot(strengths, w[:, quiet], color="#B8B8B8", linewidth=0.8)
    for rank, j in enumerate(named):
        name = f"column {j}" if names is None else str(names[j])
        axes.plot(strengths, w[:, j], color=COLOURS[rank % len(COLOURS)], linewidth=1.8, label=name)
    axes.axhline(0, color="black", linewidth=0.6)
    if isinstance(path.terms[0], Penalty):
        _log_axis_to_weaker(axes)
    else:
        axes.set_xlabel("nonzero coefficients allowed")
    axes.set_ylabel("coefficient")
    if named.size:
        axes.legend(frameon=False, fontsize="small", loc="upper left")
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


def plot_mask(mask, axes=None):
    """Which weights a mask keeps (dark) and drops (light), one panel per named weight.

    Parameters
    ----------
    mask : Mask
        A vector is drawn as one row.
    axes : sequence of matplotlib Axes, optional
        One per weight; a new figure by default.

    Returns
    -------
    matplotlib Figure
    """
    from matplotlib import pyplot as plt
    from matplotlib.colors import ListedColormap

    weights = {name: np.atleast_2d(mask[name]) for name in mask}
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


def _log_axis_to_weaker(axes):
    from matplotlib.ticker import FormatStrFormatter, LogLocator, NullFormatter

    axes.set_xscale("log")
    axes.invert_xaxis()
    axes.set_xlabel("alpha (weaker penalty to the right)")
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
