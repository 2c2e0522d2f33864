"""
Prune whole neurons
===================

A network without some of its neurons has smaller matrices and is faster everywhere.
Which neurons? Scores look at one at a time; the best group is a subset selection, and has a proof.
"""

from matplotlib import pyplot as plt
from sklearn.datasets import load_digits
from sklearn.neural_network import MLPClassifier

from sparseopt.plotting import COLOURS, plot_mask
from sparseopt.pruning import (
    ActivationEntropy,
    ActivationSparsity,
    ActivationVariance,
    Contribution,
    GroupSelection,
    IncomingNorm,
    OutgoingNorm,
    RandomNeurons,
    prune_neurons,
)

X, y = load_digits(return_X_y=True)
X = X / 16
X, X_test, y, y_test = X[:1200], X[1200:], y[:1200], y[1200:]
network = MLPClassifier((20,), learning_rate_init=3e-3, tol=1e-3, n_iter_no_change=5, random_state=0).fit(X, y)
dense = network.score(X_test, y_test)

# %%
# In every network the layer that read the neurons is refitted to its old outputs, which helps all scores.

methods = (
    GroupSelection(),
    OutgoingNorm(),
    IncomingNorm(),
    Contribution(),
    ActivationVariance(),
    ActivationSparsity(),
    ActivationEntropy(),
    RandomNeurons(),
)
sizes = (5, 7, 8, 10, 15)
_, axes = plt.subplots(layout="constrained")
for method, colour in zip(methods, (*COLOURS, "#999999"), strict=False):
    runs = [prune_neurons(network, X, y, keep=k, method=method) for k in sizes]
    accuracy = [run.model.score(X_test, y_test) for run in runs]
    axes.plot(sizes, accuracy, marker="o", color=colour, label=type(method).__name__)
    print(f"{type(method).__name__:20}" + " ".join(f"{value:.3f}" for value in accuracy))
axes.axhline(dense, color="black", linestyle=":", label="all 20")
axes.set_xlabel("neurons kept")
axes.set_ylabel("test accuracy")
axes.legend(frameon=False, fontsize="small")

# %%
# Branch and bound shows that no other eight neurons give the outputs of the layer better.
# The mask has a column of the first matrix and a row of the second for each of them.

best = prune_neurons(network, X, keep=8, method=GroupSelection(proof_time=60))
print(f"relative gap {best.certificates['coefs_0'].relative_gap:.1e}, shapes {[w.shape for w in best.model.coefs_]}")
plot_mask(best.mask)
plt.show()
