"""The ten digits, by their pixels."""

from benchmarks.data import real
from benchmarks.grammar import LevelledDataset


class Dataset(LevelledDataset):
    """1797 images, 61 pixels that vary, ten classes."""

    name = "Digits"
    parameters = {"n_samples": [1797]}
    parameter_template = "{n_samples}"
    test_parameters = {"n_samples": [100]}
    levels = (20,)

    def get_data(self):
        X, y = real("digits", 1)
        return {"X": X[: self.n_samples], "y": y[: self.n_samples], "model": "multinomial"}
