"""Every block of code in the README and the documentation runs as it stands."""

import re
import shlex
from pathlib import Path
from types import ModuleType

import pytest

import sparseopt as so
from sparseopt import cli

ROOT = Path(__file__).parents[1]
GALLERY = [pytest.param(page, id=page.stem) for page in sorted((ROOT / "docs/gallery").glob("plot_*.py"))]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("**/*.md"))]


def code(page, language):
    """The page with all but its blocks of one language blank, so that line numbers stay true."""
    lines, inside = [], False
    for line in page.read_text(encoding="utf-8").splitlines():
        starts, ends = line == f"```{language}", inside and line == "```"
        lines.append(line if inside and not ends else "")
        inside = starts or (inside and not ends)
    return lines


def pages_with(language):
    return [pytest.param(page, id=str(page.relative_to(ROOT))) for page in PAGES if any(code(page, language))]


@pytest.mark.parametrize("page", pages_with("python"))
def test_a_page_runs_from_top_to_bottom(page, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    # The one library that is not among the test's own: `.ci/run` installs it and runs these pages again.
    if any(line.startswith(("import torch", "from torch")) for line in code(page, "python")):
        pytest.importorskip("torch")
    exec(compile("\n".join(code(page, "python")), str(page), "exec"), {"__name__": "__main__"})
    for line in code(page, "console"):
        if line.startswith("$ sparseopt "):
            arguments = shlex.split(line.removeprefix("$ sparseopt "))
            assert cli.main(arguments) == 0, capsys.readouterr().err


@pytest.mark.parametrize("page", GALLERY)
def test_a_gallery_page_runs_and_draws(page, tmp_path, monkeypatch):
    plt = pytest.importorskip("matplotlib.pyplot")
    drawn = []

    def show():
        drawn.extend(plt.get_fignums())
        plt.close("all")

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(plt, "show", show)
    plt.close("all")
    exec(compile(page.read_text(encoding="utf-8"), str(page), "exec"), {"__name__": "__main__"})
    show()
    assert drawn, f"{page.name} has no picture"


def test_the_readme_has_two_set_up_commands_of_one_line():
    """`.ci/run` runs exactly these lines."""
    commands = [line for line in code(ROOT / "README.md", "sh") if line]
    assert len(commands) == 2
    assert all(line.startswith("python3 -m venv ") for line in commands)


def test_the_reference_has_every_public_name():
    text = " ".join(page.read_text(encoding="utf-8") for page in (ROOT / "docs/reference").glob("*.md"))
    documented = set(re.findall(r"auto\w+:: sparseopt\.(\w+)$", text, flags=re.MULTILINE))
    public = {
        name for name, value in vars(so).items() if not name.startswith("_") and not isinstance(value, ModuleType)
    }
    assert public <= documented


def test_no_page_is_empty():
    for page in PAGES:
        assert len(page.read_text(encoding="utf-8").split()) >= 15, f"{page} has next to no text"
