"""The commands: each file tells what one does, its examples and arguments, and what it calls.

Imports of packages stay inside the functions, so that --help is quick and a missing one is told in a line.
"""

import argparse
from collections.abc import Callable
from typing import Protocol


class Command(Protocol):
    """What each file has; its docstring's first line is the help."""

    EXAMPLES: list[str]

    @property
    def run(self) -> Callable[..., int]:
        """Takes the arguments by name, gives the exit code."""

    def add_arguments(self, parser: argparse.ArgumentParser) -> None: ...
