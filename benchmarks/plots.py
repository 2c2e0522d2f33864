"""Pictures of a suite: times of all solvers on all problems, and the measure over time."""

import itertools

import matplotlib as mpl
import matplotlib.pyplot as plt

mpl.rcParams.update(
    {"svg.fonttype": "none", "svg.hashsalt": "sparseopt", "axes.spines.top": False, "axes.spines.right": False}
)


def style(solvers):
    """A colour and a marker for each solver; ours are full, those of others open."""
    markers = "osD^v<>Pp*hX"
    return {
        name: {
            "color": f"C{k % 10}",
            "marker": markers[k % len(markers)],
            "fillstyle": "full" if name.startswith("sparseopt") else "none",
        }
        for k, name in enumerate(sorted(solvers))
    }


def problem_of(row):
    """What is solved in a row of any table."""
    return f"{row['dataset']}, {row['alpha']}"


def plot_times(rows, target, file):
    """One line a problem, one mark a solver that reached the target."""
    rows = [row for row in rows if row["target"] == target]
    problems = list(dict.fromkeys(map(problem_of, rows)))[::-1]
    styles = style({row["solver"] for row in rows})
    figure, axes = plt.subplots(figsize=(9, 1.2 + 0.42 * len(problems)), layout="constrained")
    for solver, look in styles.items():
        done = [row for row in rows if row["solver"] == solver and row["CPU s"]]
        places = [problems.index(problem_of(row)) for row in done]
        axes.plot([row["CPU s"] for row in done], places, linestyle="", label=solver, **look)
    axes.set(xscale="log", xlabel=f"CPU seconds to {target:g}", yticks=range(len(problems)))
    axes.set_yticklabels(problems, fontsize=7)
    axes.grid(axis="both", alpha=0.3)
    figure.legend(loc="outside right upper", fontsize=7)
    figure.savefig(file, metadata={"Date": None})
    plt.close(figure)


def plot_curves(points, measure, target, file):
    """A panel a problem: the measure that each tolerance of each solver reached, over its time."""
    problems = list(dict.fromkeys(map(problem_of, points)))
    styles = style({point["solver"] for point in points})
    columns = min(3, len(problems))
    rows = -(-len(problems) // columns)
    size = (3.2 * columns + 1.8, 2.3 * rows + 0.6)
    figure, panels = plt.subplots(rows, columns, figsize=size, layout="constrained", squeeze=False, sharey=True)
    for panel, problem in itertools.zip_longest(panels.flat, problems):
        if problem is None:
            panel.set_axis_off()
            continue
        panel.axhline(target, color="grey", linewidth=0.8)
        for solver, look in styles.items():
            curve = [point for point in points if (problem_of(point), point["solver"]) == (problem, solver)]
            # a gap of rounding size may come out negative
            heights = [max(point[measure], 1e-16) for point in curve]
            panel.plot([p["CPU s"] for p in curve], heights, label=solver, markersize=3, linewidth=0.8, **look)
        panel.set(xscale="log", yscale="log", ylim=(target * 1e-6, 2))
        panel.set_title(problem, fontsize=7)
        panel.tick_params(labelsize=7)
    figure.supxlabel("CPU seconds")
    figure.supylabel(measure.replace("_", " "))
    figure.legend(*panels[0, 0].get_legend_handles_labels(), loc="outside right upper", fontsize=7)
    figure.savefig(file, metadata={"Date": None})
    plt.close(figure)
