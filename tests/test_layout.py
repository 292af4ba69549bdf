"""Who may import whom, and habits that a reader relies on."""

import ast
import re
import sys
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from tests.conftest import ROOT

ALLOWED = {
    "fastmri": {"fastmri"},
    "config": {"config"},
    "custom_nn": {"custom_nn", "fastmri"},
    "trainer": {"trainer", "custom_nn", "fastmri", "config"},
    "main": {"trainer", "config", "fastmri"},
}
FOLDERS: dict[str, set[str]] = {  # of the trainer, which all may import: "trainer" is what lies in none
    "trainer": {"evaluation", "planning"},
    "evaluation": set(),
    "benchmark": set(),
    "planning": {"benchmark"},
    "comparison": {"evaluation"},
    "report": {"evaluation", "comparison", "benchmark"},
}
OURS = set(ALLOWED)
FILES = [
    ROOT / "main.py",
    *(path for package in sorted(OURS - {"main"}) for path in sorted((ROOT / package).rglob("*.py"))),
]


def modules(path: Path) -> set[str]:
    """What a file imports, wherever in it, by whole names."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            assert node.module
            found |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return found


def imports(path: Path) -> set[str]:
    return {name.split(".")[0] for name in modules(path)}


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_follow_the_layers(path):
    package = path.relative_to(ROOT).parts[0].removesuffix(".py")
    assert imports(path) & OURS <= ALLOWED[package]


@pytest.mark.parametrize("folder", FOLDERS)
def test_folders_of_the_trainer_know_only_what_they_build_on(folder):
    inside = ROOT / "trainer" if folder == "trainer" else ROOT / "trainer" / folder
    known = set().union(*map(modules, inside.glob("*.py")))
    of_folders = {name.split(".")[1] for name in known if re.match(r"trainer\.\w+\.", name)}
    others = {name for name in of_folders if (ROOT / "trainer" / name).is_dir()}
    assert others - {folder} <= FOLDERS[folder]


def test_every_folder_of_the_trainer_has_its_place():
    found = {path.parent.name for path in (ROOT / "trainer").rglob("*.py")}
    assert found == {*FOLDERS, "commands"}


def test_what_is_imported_is_required_and_what_is_required_imported():
    names = {"yaml": "pyyaml", "skimage": "scikit-image", "PIL": "pillow"}
    product, _, development = (ROOT / "requirements.txt").read_text().partition("# development")
    foreign = set().union(*map(imports, FILES)) - OURS - sys.stdlib_module_names
    imported = {names.get(name, name) for name in foreign}
    behind_torch = {"tensorboard"}  # by torch.utils.tensorboard
    assert {line.name for line in requirements(product)} == imported | behind_torch
    for line in requirements(product + development):
        bounds = {specifier.operator for specifier in line.specifier}
        assert bounds == {">=", "<"}, line


def requirements(text: str) -> list[Requirement]:
    return [Requirement(line) for line in text.splitlines() if line and not line.startswith("#")]


def test_the_constraints_are_within_the_requirements():
    exact = {line.name.lower(): line for line in requirements((ROOT / "constraints.txt").read_text())}
    for wanted in requirements((ROOT / "requirements.txt").read_text()):
        (specifier,) = exact[wanted.name.lower()].specifier
        assert specifier.operator == "=="
        assert wanted.specifier.contains(specifier.version), wanted


def imported_at_the_start(path: Path) -> set[str]:
    body = ast.parse(path.read_text()).body
    top = {alias.name for node in body if isinstance(node, ast.Import) for alias in node.names}
    return top | {node.module for node in body if isinstance(node, ast.ImportFrom) and node.module}


def test_the_command_line_starts_without_the_heavy_libraries():
    """What else a command needs it imports when it runs."""
    for path in (ROOT / "main.py", *(ROOT / "trainer" / "commands").glob("*.py")):
        ours = {name for name in imported_at_the_start(path) if not name.startswith("trainer.commands")}
        assert ours <= sys.stdlib_module_names | {"collections.abc"}, path


def test_what_takes_seconds_to_import_waits_until_it_is_used():
    slow = {"torchvision", "piq", "sigpy", "numba"}
    for path in FILES:
        assert not {name.split(".")[0] for name in imported_at_the_start(path)} & slow, path


def test_the_readme_names_every_file():
    text = (ROOT / "README.md").read_text().partition("main.py        the only entry")[2]
    named = set(re.findall(r"\w+", text.partition("```")[0]))
    grouped = {"phantom", "commands"}  # folders whose files have the names of what they are
    files = {path.stem for path in FILES if path.stem != "__init__" and not grouped & {*path.parts}}
    assert {name for name in files if not name.startswith("diagram_")} - named == {"main"}
