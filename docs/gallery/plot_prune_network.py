"""
Prune a small network
=====================

A layer of a network is a regression from its inputs to its outputs.
To prune it is to find few weights that give the same outputs; then those that stay are refitted.
"""

from matplotlib import pyplot as plt
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPClassifier

import sparseopt as so
from sparseopt.plotting import COLOURS, plot_mask
from sparseopt.pruning import Magnitude

digits = load_digits()
X, X_test, y, y_test = train_test_split(digits.data / 16, digits.target, random_state=0, test_size=0.5)
network = MLPClassifier((64, 32), learning_rate_init=3e-3, tol=1e-3, n_iter_no_change=5, random_state=0).fit(X, y)
print(f"accuracy {network.score(X_test, y_test):.3f}")

# %%
# The baseline drops the smallest weights; ours solves a subset-selection problem for each layer.
# Neither sees a label.

sparsities = (0.5, 0.7, 0.8, 0.9, 0.95)
ours = [so.prune(network, X, sparsity=sparsity) for sparsity in sparsities]
baseline = [so.prune(network, X, sparsity=sparsity, method=Magnitude()) for sparsity in sparsities]

_, axes = plt.subplots(layout="constrained")
for runs, label, colour in zip((ours, baseline), ("layer-wise L0", "magnitude"), COLOURS, strict=False):
    accuracy = [run.model.score(X_test, y_test) for run in runs]
    axes.plot(sparsities, accuracy, marker="o", color=colour, label=label)
axes.set_xlabel("part of the weights that is zero")
axes.set_ylabel("test accuracy")
axes.legend(frameon=False)

# %%
# The masks at 90 %, and how well each layer still gives its old outputs.
# There is no bound for such a problem: what can be said is measured, the error of each layer.

plot_mask(ours[3].mask)
for layer in ours[3].layers:
    print(f"{layer.name}: {layer.kept} of {layer.total} weights, relative error {layer.error:.3f}")
