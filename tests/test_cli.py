"""The command line does what the library does, and says in one line what is wrong."""

import json
import sys

import numpy as np
import pytest

import sparseopt as so
from sparseopt import cli
from sparseopt.paths import little_path
from sparseopt.warmup import little_losses

RNG = np.random.default_rng(0)
X = RNG.standard_normal((60, 5)) * [1.0, 10.0, 1.0, 0.1, 1.0]
Y = 3 * X[:, 0] - 20 * X[:, 3] + 0.1 * RNG.standard_normal(60) + 7


@pytest.fixture
def data(tmp_path):
    file = tmp_path / "trial.npz"
    np.savez(file, X=X, y=Y, names=["age", "height", "weight", "dose", "time"])
    return str(file)


def test_solve_writes_the_solution_with_names_and_certificate(data, tmp_path, capsys):
    out = tmp_path / "folder" / "solution.json"
    assert cli.main(["solve", data, "--penalty", "l1", "--alpha", "0.5", "--out", str(out)]) == 0
    written = json.loads(out.read_text())
    expected = so.solve(so.Problem(so.LeastSquares(X, Y, intercept=True), so.L1(0.5)))
    assert written["status"] == "CONVERGED"
    assert written["coefficients"].keys() == {["age", "height", "weight", "dose", "time"][j] for j in expected.support}
    assert written["certificate"]["relative_gap"] <= 1e-6
    assert "age" in capsys.readouterr().out


def test_solve_with_standardize_reports_the_units_of_the_file(data, tmp_path):
    out = tmp_path / "solution.npz"
    assert cli.main(["solve", data, "--alpha", "1e-6", "--standardize", "--tol", "1e-11", "--out", str(out)]) == 0
    with np.load(out) as written:
        np.testing.assert_allclose(written["w"][[0, 3]], [3, -20], rtol=0.05)
        np.testing.assert_allclose(written["intercept"], 7, atol=0.1)


def test_solve_with_k_keeps_k_columns(data, capsys):
    assert cli.main(["solve", data, "--k", "2", "--standardize"]) == 0
    printed = capsys.readouterr().out
    assert "2 of 5 coefficients are not zero" in printed
    assert "dose" in printed


def test_alpha_ratio_one_gives_zero(data, capsys):
    assert cli.main(["solve", data, "--alpha-ratio", "1"]) == 0
    assert "0 of 5 coefficients" in capsys.readouterr().out


def test_a_limit_is_exit_code_one(data, capsys):
    arguments = ["solve", data, "--alpha", "0.01", "--solver", "proximal-gradient", "--max-iter", "1", "--tol", "1e-14"]
    assert cli.main(arguments) == 1
    assert "ITERATION_LIMIT" in capsys.readouterr().out


@pytest.mark.parametrize("suffix", [".json", ".npz", ".png"])
def test_path_writes_each_format(data, tmp_path, suffix):
    out = tmp_path / f"path{suffix}"
    assert cli.main(["path", data, "--count", "5", "--out", str(out)]) == 0
    assert out.stat().st_size > 0


@pytest.mark.parametrize("loss", cli.LOSSES)
@pytest.mark.parametrize("penalty", ["l1", "mcp", "scad", "l0"])
def test_every_loss_and_penalty_can_be_named(tmp_path, loss, penalty):
    file = tmp_path / "labels.npz"
    np.savez(file, X=X, y=np.sign(X[:, 0] + RNG.standard_normal(60)))
    terms = ["--loss", loss, "--penalty", penalty, "--alpha-ratio", "0.3"]
    assert cli.main(["solve", str(file), "--standardize", *terms]) == 0


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--penalty", "l1"], "give a penalty and --alpha"),
        (["--penalty", "none", "--alpha", "1"], "give a penalty and --alpha"),
        (["--alpha", "1", "--gamma", "3"], "has no gamma"),
        (["--alpha", "-1"], "alpha must be at least 0"),
        (["--k", "9"], "k = 9 exceeds the 5 features"),
        (["--alpha", "1", "--solver", "hard-thresholding"], "HardThresholding"),
        (["--alpha", "1", "--out", "solution.txt"], "unknown format '.txt'"),
        (["--alpha", "1", "--target", "age"], "fixed"),
    ],
)
def test_wrong_usage_is_one_line_and_exit_code_two(data, capsys, arguments, says):
    assert cli.main(["solve", data, *arguments]) == 2
    error = capsys.readouterr().err
    assert says in error
    assert error.count("\n") == 1
    assert error.startswith("sparseopt solve: ")


def test_a_missing_file_is_exit_code_two(tmp_path, capsys):
    assert cli.main(["solve", str(tmp_path / "no.csv"), "--alpha", "1"]) == 2
    assert "no.csv" in capsys.readouterr().err


def test_a_missing_library_is_named_with_its_remedy(monkeypatch, capsys):
    monkeypatch.delitem(sys.modules, "sparseopt.demo", raising=False)
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    assert cli.main(["demo"]) == 2
    assert "matplotlib.figure is needed and not installed; pip install" in capsys.readouterr().err


def test_an_interrupt_is_exit_code_130(data, monkeypatch):
    def interrupt(*_arguments, **_options):
        raise KeyboardInterrupt

    monkeypatch.setattr(so, "solve", interrupt)
    assert cli.main(["solve", data, "--alpha", "1"]) == 130


def test_info_says_versions_and_where_the_cache_is(capsys):
    assert cli.main(["info"]) == 0
    printed = capsys.readouterr().out
    assert f"numpy        {np.__version__}" in printed
    assert "cache" in printed


def test_warmup_compiles_each_combination_once(monkeypatch, capsys):
    problem = so.Problem(so.LeastSquares(X, Y), so.L1(0.1))
    monkeypatch.setattr("sparseopt.warmup.combinations", lambda: [(problem, so.CoordinateDescent())])
    assert cli.main(["warmup", "--quiet"]) == 0
    capsys.readouterr()
    assert cli.main(["warmup"]) == 0
    shown = capsys.readouterr()
    assert shown.out == "0 kernels compiled\n"
    assert "LeastSquares, L1, CoordinateDescent" in shown.err
    assert "Logistic, L1, path" in shown.err


def test_warmup_takes_the_way_of_little_paths():
    """Kernels of their own serve every little L1 path, and the first single fits of users."""
    found = [little_path.begun(so.Problem(loss), [so.L1(0.1)], None, 1e-3) for loss in little_losses()]
    assert len(found) == 6
    assert all(found)


@pytest.fixture
def network(tmp_path):
    rng = np.random.default_rng(1)
    file = tmp_path / "network.npz"
    np.savez(
        file,
        first=rng.standard_normal((5, 8)),
        first_bias=rng.standard_normal(8),
        last=rng.standard_normal((8, 1)),
        last_bias=np.ones(1),
    )
    return file


def test_prune_writes_the_arrays_of_the_network(network, data, tmp_path, capsys):
    out = tmp_path / "folder" / "pruned.npz"
    assert cli.main(["prune", str(network), data, "--no-labels", "--sparsity", "0.75", "--out", str(out)]) == 0
    with np.load(network) as stored, np.load(out) as written:
        arrays = [stored[name] for name in ("first", "last", "first_bias", "last_bias")]
        expected = so.prune(so.pruning.NumpyMLP(arrays[:2], arrays[2:]), X, sparsity=0.75)
        assert set(written.files) == set(stored.files)
        np.testing.assert_array_equal(written["first"], expected.model.weights[0])
        np.testing.assert_array_equal(written["last_bias"], expected.model.biases[1])
    assert "12 of 48 weights kept" in capsys.readouterr().out


def test_prune_takes_a_table_without_labels(network, tmp_path, capsys):
    """The last column is a sample's then, and no target."""
    table = tmp_path / "samples.csv"
    np.savetxt(table, X, delimiter=",")
    out = tmp_path / "pruned.npz"
    assert cli.main(["prune", str(network), str(table), "--no-labels", "--sparsity", "0.75", "--out", str(out)]) == 0
    with np.load(network) as stored, np.load(out) as written:
        arrays = [stored[name] for name in ("first", "last", "first_bias", "last_bias")]
        expected = so.prune(so.pruning.NumpyMLP(arrays[:2], arrays[2:]), X, sparsity=0.75)
        np.testing.assert_allclose(written["first"], expected.model.weights[0], rtol=1e-9)
    capsys.readouterr()
    assert cli.main(["prune", str(network), str(table), "--sparsity", "0.75"]) == 2
    assert "give one row per sample and 5 columns" in capsys.readouterr().err
    # an array y by itself is a target, whatever the network reads
    arrays = tmp_path / "samples.npz"
    np.savez(arrays, X=X[:, :4], y=X[:, 4])
    assert cli.main(["prune", str(network), str(arrays), "--no-labels", "--sparsity", "0.75"]) == 2
    assert "give one row per sample and 5 columns" in capsys.readouterr().err


@pytest.mark.parametrize("method", ["magnitude", "first-order", "wanda"])
def test_prune_by_a_score_in_steps_with_training(network, data, capsys, method):
    arguments = ["--sparsity", "0.5", "--method", method, "--schedule", "cubic", "--steps", "2", "--epochs", "2"]
    assert cli.main(["prune", str(network), data, *arguments]) == 0
    assert "24 of 48 weights kept" in capsys.readouterr().out


def test_prune_says_what_is_wrong_with_the_network(data, tmp_path, capsys):
    file = tmp_path / "cube.npz"
    np.savez(file, cube=np.ones((2, 2, 2)))
    assert cli.main(["prune", str(file), data, "--sparsity", "0.5"]) == 2
    assert "one matrix (inputs, outputs) for each layer" in capsys.readouterr().err
    file.write_text("no archive")
    assert cli.main(["prune", str(file), data, "--sparsity", "0.5"]) == 2
    assert "numpy.savez" in capsys.readouterr().err


def test_the_package_runs_as_a_module(run):
    script = "import runpy, sys; sys.argv = ['sparseopt', 'info']; runpy.run_module('sparseopt', run_name='__main__')"
    assert "cache" in run(script)
