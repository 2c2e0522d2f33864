"""
A perceptron through the whole loop
===================================

The smallest network there is: one layer. Fit it, prune it step by step while it learns on,
stop where the quality falls, choose the sparsity by cross-validation, store the mask, undo it.
"""

import tempfile
from pathlib import Path

import numpy as np
from matplotlib import pyplot as plt
from sklearn.datasets import load_digits
from sklearn.linear_model import Perceptron

import sparseopt as so
from sparseopt.plotting import plot_mask, plot_pruning, plot_sparsities
from sparseopt.pruning import Adam, Cubic, LayerwiseL0, Magnitude, QualityLoss, prune_cv

X, y = load_digits(return_X_y=True)
X = X / 16
fit, choose, judge = slice(0, 900), slice(900, 1200), slice(1200, None)
perceptron = Perceptron(random_state=0).fit(X[fit], y[fit])
print(f"{np.count_nonzero(perceptron.coef_)} weights, accuracy {perceptron.score(X[judge], y[judge]):.3f}")

# %%
# Prune a little, train the weights that stay, and again. The run ends by itself where the accuracy on
# the validation samples is two points below what it was.

pruned = so.prune(
    perceptron,
    X[fit],
    y[fit],
    sparsity=0.9,
    method=Magnitude(),
    schedule=Cubic(steps=12),
    refit=Adam(epochs=60, learning_rate=0.03, batch_size=64),
    stop=QualityLoss(0.02),
    validation=(X[choose], y[choose]),
)
print(pruned)
print(pruned.reason)
print(f"accuracy {pruned.model.score(X[judge], y[judge]):.3f}")
plot_pruning(pruned)

# %%
# Which sparsity? By cross-validation: each fold fits and prunes a perceptron of its own and judges it on samples
# that neither has seen. Taken is the sparsest within one standard error of the best.


def train(X, y):
    """Fit a perceptron."""
    return Perceptron(random_state=0).fit(X, y)


found = prune_cv(
    perceptron, X[fit], y[fit], train=train, sparsities=(0.3, 0.5, 0.6, 0.7, 0.8, 0.9), method=LayerwiseL0()
)
print(found)
plot_sparsities(found)

# %%
# The mask is a value of its own: it is stored, read, applied to a model, and undone.

figure = plot_mask(found.pruned.mask)
with tempfile.TemporaryDirectory() as folder:
    path = Path(folder) / "mask.npz"
    found.pruned.mask.save(path)
    mask = so.Mask.load(path)
masked = mask.apply(perceptron)
restored = mask.undo(masked, perceptron)
print(np.count_nonzero(masked.coef_), np.array_equal(restored.coef_, perceptron.coef_))
plt.show()
