"""Draws path.svg, the picture at the top of the README: python docs/pictures/draw_path.py"""

from pathlib import Path

import matplotlib as mpl
from matplotlib.figure import Figure

import sparseopt as so
from sparseopt.demo import diabetes_with_interactions
from sparseopt.plotting import plot_path

# the same bytes from the same numbers
mpl.rcParams.update({"svg.hashsalt": "sparseopt", "svg.fonttype": "none", "font.family": "sans-serif"})

study = diabetes_with_interactions()
loss = so.LeastSquares(study.X, study.y, intercept=True)
path = so.path(so.Problem(loss), [so.L1(alpha) for alpha in so.alpha_grid(loss, 60, 3e-2)])

figure = Figure(figsize=(6.4, 3.4), layout="constrained")
axes = plot_path(path, study.names, figure.subplots())
axes.set_title(
    f"Diabetes, 64 columns: sixty lasso solutions, each with a proven gap of {path.largest_gap:.0e} or less",
    fontsize="small",
)
figure.savefig(Path(__file__).with_name("path.svg"), metadata={"Date": None})
