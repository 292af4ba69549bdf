"""A list of modules of one kind."""

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Generic, TypeVar, overload

from torch import nn

Part = TypeVar("Part", bound=nn.Module)


class Modules(nn.ModuleList, Generic[Part]):
    """torch's ModuleList, which does not tell type checkers of what it is; nothing else differs."""

    if TYPE_CHECKING:

        def __init__(self, modules: Iterable[Part]) -> None: ...

        @overload
        def __getitem__(self, index: slice) -> "Modules[Part]": ...

        @overload
        def __getitem__(self, index: int) -> Part: ...

        def __getitem__(self, index: int | slice) -> "Part | Modules[Part]": ...

        def __iter__(self) -> Iterator[Part]: ...
