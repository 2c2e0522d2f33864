"""
Few words for a text classifier
===============================

Which part of SciPy does a paragraph of its documentation come from? A bag of 1500 words, a linear model, and a
network: each is pruned, and the words that are left can be read.
"""

import importlib
import inspect
import re

import numpy as np
from matplotlib import pyplot as plt
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPClassifier

import sparseopt as so
from sparseopt.plotting import COLOURS
from sparseopt.pruning import BestSubset, InformationGain, LassoFeatures, Magnitude, prune_features, prune_neurons

parts = ("signal", "stats", "ndimage", "optimize")
texts, labels = [], []
for part in parts:
    module = importlib.import_module(f"scipy.{part}")
    for name in module.__all__:
        paragraphs = re.split(r"\n\s*\n", inspect.getdoc(getattr(module, name, None)) or "")
        # Examples of code would give the module away.
        paragraphs = [text for text in paragraphs if len(text) > 100 and ">>>" not in text and "scipy" not in text]
        texts += paragraphs[:4]
        labels += [part] * len(paragraphs[:4])
words = CountVectorizer(max_features=1500, min_df=3, binary=True, token_pattern=r"[a-z]{3,}", stop_words="english")
bag = words.fit_transform(texts).astype(float)
vocabulary = words.get_feature_names_out()
X, X_test, y, y_test = train_test_split(bag, np.array(labels), test_size=0.4, random_state=0, stratify=labels)
print(f"{bag.shape[0]} paragraphs, {bag.shape[1]} words")

# %%
# First the words: which of them tell signal processing from statistics, for a logistic regression on the sparse bag.

two, two_test = np.isin(y, parts[:2]), np.isin(y_test, parts[:2])
linear = LogisticRegression(max_iter=1000)
sizes = (5, 10, 20, 50)
methods = {"information gain": InformationGain(), "lasso": LassoFeatures(), "best subset": BestSubset(folds=3)}
_, axes = plt.subplots(layout="constrained")
for (name, method), colour in zip(methods.items(), COLOURS, strict=False):
    runs = [
        prune_features(linear, X[two], y[two], keep=k, method=method, validation=(X_test[two_test], y_test[two_test]))
        for k in sizes
    ]
    axes.plot(sizes, [run.quality for run in runs], marker="o", color=colour, label=name)
    print(f"{name}: " + " ".join(vocabulary[runs[1].mask["features"]]))
everything = linear.fit(X[two], y[two]).score(X_test[two_test], y_test[two_test])
axes.axhline(everything, color="black", linestyle=":", label="all words")
axes.set_xscale("log")
axes.set_xlabel("words kept")
axes.set_ylabel("test accuracy")
axes.legend(frameon=False)

# %%
# Then the weights of a linear model of all four parts, and of a network with sixteen hidden neurons.

X, X_test = X.toarray(), X_test.toarray()
linear = LogisticRegression(max_iter=1000).fit(X, y)
network = MLPClassifier((16,), max_iter=30, learning_rate_init=5e-3, tol=1e-2, random_state=0).fit(X, y)
sparsities = (0.8, 0.9, 0.95, 0.98)
_, axes = plt.subplots(layout="constrained")
for (name, model), colour in zip({"linear": linear, "network": network}.items(), COLOURS, strict=False):
    axes.axhline(model.score(X_test, y_test), color=colour, linestyle=":")
    pruned = [so.prune(model, X, sparsity=sparsity, method=Magnitude(), refit="layer") for sparsity in sparsities]
    accuracy = [run.model.score(X_test, y_test) for run in pruned]
    axes.plot(sparsities, accuracy, marker="o", color=colour, label=name)
    print(name, f"{model.score(X_test, y_test):.3f} ->", " ".join(f"{value:.3f}" for value in accuracy))
axes.set_xlabel("part of the weights that is zero")
axes.set_ylabel("test accuracy")
axes.legend(frameon=False)

# %%
# Four of the sixteen neurons do nearly as well, and the network is a quarter of its size.

small = prune_neurons(network, X, keep=4)
print(small, f"accuracy {small.model.score(X_test, y_test):.3f}")
plt.show()
