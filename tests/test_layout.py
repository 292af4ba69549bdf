"""Who may import whom, and habits that a reader relies on."""

import ast
import sys
from pathlib import Path

import pytest

from tests.conftest import ROOT

ALLOWED = {
    "fastmri": {"fastmri"},
    "config": {"config"},
    "custom_nn": {"custom_nn", "fastmri"},
    "trainer": {"trainer", "custom_nn", "fastmri", "config"},
    "main": {"trainer", "config", "fastmri"},
}
OURS = set(ALLOWED)
FILES = [
    ROOT / "main.py",
    *(path for package in sorted(OURS - {"main"}) for path in sorted((ROOT / package).rglob("*.py"))),
]


def imports(path: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            found.add(node.module.split(".")[0])
    return found


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_follow_the_layers(path):
    package = path.relative_to(ROOT).parts[0].removesuffix(".py")
    assert imports(path) & OURS <= ALLOWED[package]


def test_every_import_is_required_or_of_the_standard_library():
    names = {"yaml": "pyyaml", "skimage": "scikit-image", "PIL": "pillow"}
    required = {
        line.split(">=")[0].strip()
        for line in (ROOT / "requirements.txt").read_text().splitlines()
        if line and not line.startswith("#")
    }
    foreign = set().union(*map(imports, FILES)) - OURS - sys.stdlib_module_names
    assert {names.get(name, name) for name in foreign} <= required


def test_the_command_line_starts_without_the_heavy_libraries():
    tree = ast.parse((ROOT / "main.py").read_text())
    top = {alias.name for node in tree.body if isinstance(node, ast.Import) for alias in node.names}
    top |= {node.module for node in tree.body if isinstance(node, ast.ImportFrom)}
    assert not {name.split(".")[0] for name in top} & (OURS | {"torch", "matplotlib", "h5py", "numpy"})
