"""Pictures of the race: times of all solvers on all problems, and gap over time."""

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


def distinct(rows, *columns):
    """The values of some columns, each once, in order of appearance."""
    return list(dict.fromkeys(tuple(row[column] for column in columns) for row in rows))


def plot_times(rows, file):
    """One line a problem, one mark a solver that reached the gap."""
    problems = distinct(rows, "dataset", "alpha")[::-1]
    styles = style(row["solver"] for row in rows)
    figure, axes = plt.subplots(figsize=(9, 1.2 + 0.42 * len(problems)), layout="constrained")
    for solver, look in styles.items():
        done = [row for row in rows if row["solver"] == solver and row["CPU s"]]
        places = [problems.index((row["dataset"], row["alpha"])) for row in done]
        axes.plot([row["CPU s"] for row in done], places, linestyle="", label=solver, **look)
    axes.set(xscale="log", xlabel="CPU seconds to the common gap", yticks=range(len(problems)))
    axes.set_yticklabels([f"{dataset}, {alpha}" for dataset, alpha in problems], fontsize=7)
    axes.grid(axis="both", alpha=0.3)
    figure.legend(loc="outside right upper", fontsize=7)
    figure.savefig(file, metadata={"Date": None})
    plt.close(figure)


def plot_gaps(points, gap, file):
    """A panel a problem: the gap that each tolerance of each solver reached, over its time."""
    names, levels = distinct(points, "dataset"), distinct(points, "alpha")
    styles = style(point["solver"] for point in points)
    figure, panels = plt.subplots(
        len(names),
        len(levels),
        figsize=(3.2 * len(levels) + 1.5, 2.3 * len(names)),
        layout="constrained",
        squeeze=False,
        sharey=True,
    )
    for row, (dataset,) in zip(panels, names, strict=True):
        for panel, (alpha,) in zip(row, levels, strict=True):
            panel.axhline(gap, color="grey", linewidth=0.8)
            for solver, look in styles.items():
                curve = [p for p in points if (p["dataset"], p["alpha"], p["solver"]) == (dataset, alpha, solver)]
                # a gap of rounding size may come out negative
                gaps = [max(p["relative_gap"], 1e-16) for p in curve]
                panel.plot([p["CPU s"] for p in curve], gaps, label=solver, markersize=3, linewidth=0.8, **look)
            panel.set(xscale="log", yscale="log", ylim=(1e-12, 2))
            panel.set_title(f"{dataset}\nalpha = {alpha}", fontsize=7)
            panel.tick_params(labelsize=7)
    figure.supxlabel("CPU seconds")
    figure.supylabel("relative duality gap")
    figure.legend(*panels[0, 0].get_legend_handles_labels(), loc="outside right upper", fontsize=7)
    figure.savefig(file, metadata={"Date": None})
    plt.close(figure)
