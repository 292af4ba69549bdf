"""What is in a data folder, file by file, and what is wrong with it."""

from pathlib import Path
from typing import NamedTuple

from tabulate import tabulate
from tqdm import tqdm

from fastmri.damage import FileReport, check_file
from fastmri.opening import printable
from fastmri.scan import SUFFIXES, list_files

FASTMRI = {  # folder: (volumes, slices) of the single-coil knees
    "singlecoil_train": (973, 34_742),
    "singlecoil_val": (199, 7_135),
    "singlecoil_test": (108, 3_903),
}


class FolderReport(NamedTuple):
    path: Path
    volumes: int  # readable ones
    slices: int
    fastmri: tuple[int, int] | None  # volumes and slices of the fastMRI folder of this name


class CheckReport(NamedTuple):
    files: list[FileReport]
    folders: list[FolderReport]
    problems: list[str]  # one line each, beginning with the file


def check_folder(data: Path) -> CheckReport:
    """Read every sample of a data folder, a folder of .h5 files or one file, a slice at a time.

    Raises ValueError if there is no .h5 file; whatever is wrong with a file is in the report.
    """
    data = Path(data)
    folders = _folders(data)
    paths = [path for folder in folders.values() for path in folder]
    reports = {path: check_file(path) for path in tqdm(paths, desc="check", unit="file", disable=None)}
    return CheckReport(
        files=list(reports.values()),
        folders=[_count(folder, [reports[path] for path in paths]) for folder, paths in folders.items()],
        problems=[
            f"{printable(str(path))}: {problem}" for path in paths for problem in reports[path].problems
        ],
    )


def _folders(data: Path) -> dict[Path, list[Path]]:
    """The .h5 files of each singlecoil_* folder in `data`, or of `data` itself, or the one file."""
    inside = sorted(path for path in data.glob("singlecoil_*") if path.is_dir())
    found = {}
    for folder in inside:
        # one of several may be empty, e.g. no validation data
        found[folder] = list_files(folder) if _holds_files(folder) else []
    if not any(found.values()) or _holds_files(data):
        found[data if data.is_dir() else data.parent] = list_files(data)
    return found


def _holds_files(folder: Path) -> bool:
    return any(path.suffix in SUFFIXES for path in folder.glob("*"))


def _count(folder: Path, reports: list[FileReport]) -> FolderReport:
    volumes = [report.volume for report in reports if report.volume is not None]
    return FolderReport(
        folder, len(volumes), sum(volume.num_slices for volume in volumes), FASTMRI.get(folder.name)
    )


def format_report(report: CheckReport) -> str:
    """The report as a table of files, a line for each folder, and the problems."""
    header = ("file", "acquisition", "slices", "k-space", "image", "what")
    parts = [tabulate([_row(file) for file in report.files], headers=header, disable_numparse=True)]
    parts.append("\n".join(_folder_line(folder) for folder in report.folders))
    parts.append("\n".join(report.problems) or "no problems")
    return "\n\n".join(parts)


def _row(file: FileReport) -> tuple[str, ...]:
    count = len(file.problems)
    what = f"{count} PROBLEM{'S' * (count > 1)}" if count else "ok"
    name = printable(f"{file.path.parent.name}/{file.path.name}")
    if file.volume is None:
        return (name, "", "", "", "", what)
    slices, rows, columns = file.volume.kspace_shape
    height, width = file.volume.recon_size
    size = (str(slices), f"{rows}x{columns}", f"{height}x{width}")
    return (name, file.volume.acquisition, *size, ", ".join([what, *file.notes]))


def _folder_line(folder: FolderReport) -> str:
    if folder.fastmri is None:
        return f"{folder.path}: {folder.volumes} volumes, {folder.slices} slices"
    volumes, slices = folder.fastmri
    return (
        f"{folder.path}: {folder.volumes} of fastMRI's {volumes} volumes, {folder.slices} of {slices} slices"
    )
