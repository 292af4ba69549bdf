"""DICOM images as volumes: one for each series and echo, ordered by position."""

from collections import defaultdict
from pathlib import Path
from typing import NamedTuple

import numpy as np

from fastmri.dicom import Frame, read_frame, read_pixels
from fastmri.opening import MOST_VOXELS
from fastmri.pictures import Pictures


class DicomVolumes(NamedTuple):
    volumes: list[Pictures]
    skipped: list[tuple[Path, str]]


def dicom_volumes(files: list[tuple[Path, str]]) -> DicomVolumes:
    """Sort DICOM files, (path, name) each, into volumes by their headers; pixels are read later."""
    groups, skipped = defaultdict(list), []
    for path, name in files:
        try:
            frame = read_frame(path, name)
        except ValueError as error:
            skipped.append((path, str(error)))
        else:
            groups[frame.series, frame.echo_time].append(frame)
    volumes = []
    for frames in groups.values():
        frames.sort(key=lambda frame: (frame.position, frame.name))
        reason = why_no_volume(frames)
        if reason:
            skipped.append((frames[0].path, reason))
        else:
            volumes.append(_pictures(frames))
    return DicomVolumes(volumes, skipped)


def _pictures(frames: list[Frame]) -> Pictures:
    first = frames[0]
    return Pictures(
        path=first.path,
        name=first.name,
        subject=first.subject,
        acquisition=first.acquisition,
        read=lambda: np.stack([read_pixels(frame) for frame in frames]),
    )


def why_no_volume(frames: list[Frame]) -> str | None:
    """Why the files of one series and echo, ordered by position, are not one stack of slices."""
    sizes = sorted({frame.size for frame in frames})
    if len(frames) * max(rows * columns for rows, columns in sizes) > MOST_VOXELS:
        return f"series of {len(frames)} files is too large; at most {MOST_VOXELS} voxels are allowed"
    if len(sizes) > 1:
        text = ", ".join(f"{rows}x{columns}" for rows, columns in sizes)
        return f"series of {len(frames)} files mixes image sizes {text}"
    if len({frame.orientation for frame in frames}) > 1:
        return f"series of {len(frames)} files mixes slice orientations (a localizer?)"
    scales = sorted({frame.scale for frame in frames})
    if len(scales) > 1:
        return f"series of {len(frames)} files mixes positions by {' and '.join(scales)}"
    places = len({frame.position for frame in frames})
    if places < len(frames):
        return (
            f"series of {len(frames)} files has {places} positions (a time series, or magnitude and phase?)"
        )
    return None
