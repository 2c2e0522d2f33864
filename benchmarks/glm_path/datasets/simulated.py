"""Dense normal features and targets that each model would have made."""

import numpy as np

from benchmarks.data import correlated, noisy, signal
from benchmarks.glm_path.models import MODELS
from benchmarks.grammar import LevelledDataset


class Dataset(LevelledDataset):
    """An autoregressive design, wide, for two of the models tall as well; y is drawn from the model."""

    name = "Simulated"
    parameters = {
        "model, n_samples, n_features": [
            *((model, 500, 2000) for model in MODELS),
            ("multi-response", 10_000, 300),
            ("SLOPE", 10_000, 300),
        ]
    }
    parameter_template = "{model}, {n_samples} x {n_features}"
    test_parameters = {"model, n_samples, n_features": [(model, 60, 40) for model in MODELS]}
    levels = (20,)

    def get_data(self):
        rng = np.random.default_rng(0)
        X = correlated(self.n_samples, self.n_features, 0.5, rng)
        return {"X": X, "y": self.drawn(X, rng), "model": self.model}

    def drawn(self, X, rng):
        """Targets of each model."""
        n = self.n_samples
        z = signal(X, 20, rng)
        z = z / z.std()
        match self.model:
            case "Poisson":
                return rng.poisson(np.exp(0.7 * z)).astype(np.float64)
            case "Huber":
                return noisy(z, rng) + np.where(rng.random(n) < 0.1, 10 * rng.standard_normal(n), 0.0)
            case "Cox":
                time, censored = rng.exponential(np.exp(-z)), rng.exponential(2.0, n)
                return np.asfortranarray(np.column_stack([np.minimum(time, censored), time <= censored]))
            case "multinomial" | "grouped multinomial":
                scores = np.column_stack([signal(X, 10, rng) for _ in range(4)])
                return np.argmax(scores + rng.gumbel(size=scores.shape), axis=1).astype(np.float64)
            case "multi-response":
                places = rng.choice(X.shape[1], 15, replace=False)
                return np.asfortranarray(noisy(X[:, places] @ rng.standard_normal((15, 5)), rng))
            case "SLOPE":
                return noisy(z, rng)
        raise ValueError(f"{self.model!r} draws nothing.")
