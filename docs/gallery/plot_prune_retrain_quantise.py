"""
Prune, retrain, quantise, or distil
===================================

A dense network of 6464 weights is pruned by the size of its weights, by the slope of the loss, and by sparse
optimisation, each in steps between which it trains. What is left is rounded to 8 bits.
The contestant is a small network with as many weights, trained on the outputs of the dense one.
"""

import numpy as np
from matplotlib import pyplot as plt
from sklearn.datasets import load_digits
from sklearn.neural_network import MLPClassifier

import sparseopt as so
from sparseopt.plotting import COLOURS, plot_mask, plot_sparsities
from sparseopt.pruning import (
    Adam,
    Distillation,
    Exponential,
    FirstOrder,
    LayerwiseL0,
    Magnitude,
    NumpyMLP,
    prune_neurons,
    quantised,
    size_report,
)

X, y = load_digits(return_X_y=True)
X = X / 16
X, X_test, y, y_test = X[:1200], X[1200:], y[:1200], y[1200:]
dense = MLPClassifier((64, 32), learning_rate_init=3e-3, tol=1e-3, n_iter_no_change=5, random_state=0).fit(X, y)


def accuracy(model):
    """Part of the test samples that is right."""
    return model.score(X_test, y_test)


print(f"dense: {accuracy(dense):.3f}")

# %%
# Three steps to each sparsity, with forty epochs of Adam in all, on the labels.

methods = {"magnitude": Magnitude(), "gradient |w dL/dw|": FirstOrder(), "layer-wise L0": LayerwiseL0()}
sparsities = (0.8, 0.9, 0.95)
training = Adam(epochs=40, learning_rate=3e-3, batch_size=64)
runs = {
    name: [
        so.prune(dense, X, y, sparsity=sparsity, method=method, schedule=Exponential(steps=3), refit=training)
        for sparsity in sparsities
    ]
    for name, method in methods.items()
}
axes = plot_sparsities(runs, quality=accuracy)
axes.axhline(accuracy(dense), color="black", linestyle=":")
axes.set_ylabel("test accuracy")
for name, results in runs.items():
    print(f"{name:20}" + " ".join(f"{accuracy(run.model):.3f}" for run in results))

# %%
# The mask of the best at 95 %: most of the pixels are not looked at.

sparse = runs["layer-wise L0"][2]
plot_mask(sparse.mask)

# %%
# Eight bits for each weight that is left cost little. The report says what is smaller and what is not faster.

rounded = quantised(sparse.model, X=X_test)
print(rounded)
print(f"in 8 bits: {accuracy(rounded.model):.3f}")
print(size_report(sparse.model, X=X_test, seconds=0.02))

# %%
# Whole neurons leave a dense network that is really smaller, at a higher price.

small = prune_neurons(dense, X, sparsity=0.75).model
print(small.hidden_layer_sizes, f"neurons: {accuracy(small):.3f}")

# %%
# A network with as many weights as the sparse one, trained from scratch on what the dense one says.

rng = np.random.default_rng(0)
shapes = (64, 4), (4, 10)
weights = [rng.standard_normal(shape) / np.sqrt(shape[0]) for shape in shapes]
student = NumpyMLP(weights, [np.zeros(4), np.zeros(10)], link="softmax")
teacher = so.adapters.adapt(dense)
kept = [np.ones(shape, bool) for shape in shapes]
student = Adam(epochs=200, learning_rate=1e-2, batch_size=64).fit(student, kept, X, Distillation.of(teacher, X))
distilled = np.mean(student.outputs(X_test).argmax(axis=1) == y_test)

names = ["dense", "pruned to 5 %", "the same in 8 bits", "a quarter of the neurons", "distilled, as small"]
values = [accuracy(dense), accuracy(sparse.model), accuracy(rounded.model), accuracy(small), distilled]
print(dict(zip(names, np.round(values, 3).tolist(), strict=True)))
_, axes = plt.subplots(layout="constrained", figsize=(6.4, 2.4))
axes.barh(names[::-1], values[::-1], color=COLOURS[0])
axes.set_xlim(0.5, 1)
axes.set_xlabel("test accuracy")
plt.show()
