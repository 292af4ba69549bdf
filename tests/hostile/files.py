"""HDF5 files that are broken, or made to harm, each from a good tiny one."""

import os
import zlib
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np

from fastmri.volumes import TARGET


def replace(name: str, **made) -> Callable[[h5py.File], None]:
    """Another dataset of the name, made as `create_dataset` makes it."""

    def harm(file: h5py.File) -> None:
        del file[name]
        file.create_dataset(name, **made)

    return harm


def group(name: str) -> Callable[[h5py.File], None]:
    """A group in the place of a dataset."""

    def harm(file: h5py.File) -> None:
        del file[name]
        file.create_group(name)

    return harm


def link(name: str, target: object) -> Callable[[h5py.File], None]:
    def harm(file: h5py.File) -> None:
        del file[name]
        file[name] = target

    return harm


def attribute(name: str, value: object) -> Callable[[h5py.File], None]:
    def harm(file: h5py.File) -> None:
        file.attrs[name] = value

    return harm


def virtual(path: str) -> Callable[[h5py.File], None]:
    """k-space that is said to lie in another file."""

    def harm(file: h5py.File) -> None:
        shape = file["kspace"].shape
        layout = h5py.VirtualLayout(shape=shape, dtype="c8")
        layout[...] = h5py.VirtualSource(path, "kspace", shape=shape)
        del file["kspace"]
        file.create_virtual_dataset("kspace", layout)

    return harm


def bomb(file: h5py.File) -> None:
    """A megabyte or so that becomes a gigabyte."""
    del file["kspace"], file[TARGET]
    stored = file.create_dataset("kspace", (1000, 500, 250), "c8", chunks=(1, 500, 250), compression="gzip")
    for k in range(stored.shape[0]):
        stored.id.write_direct_chunk((k, 0, 0), ZEROS)


ZEROS = zlib.compress(bytes(500 * 250 * 8), 9)


def header(fields: str, before: str = "") -> Callable[[h5py.File], None]:
    """An ISMRMRD header with something before it and in it."""
    text = f'<?xml version="1.0"?>{before}<ismrmrdHeader xmlns="http://www.ismrm.org/ISMRMRD">{fields}</ismrmrdHeader>'
    return replace("ismrmrd_header", data=text.encode())


def encoding(recon: str = "32", maximum: str = "43") -> str:
    """The fields of a header that fits a tiny volume, or not."""
    size = "<{0}><matrixSize><x>{1}</x><y>{2}</y><z>1</z></matrixSize></{0}>"
    limits = f"<minimum>0</minimum><maximum>{maximum}</maximum><center>22</center>"
    return (
        f"<encoding>{size.format('encodedSpace', 64, 48)}{size.format('reconSpace', recon, 32)}"
        f"<encodingLimits><kspace_encoding_step_1>{limits}</kspace_encoding_step_1></encodingLimits></encoding>"
    )


LAUGHS = "".join(f'<!ENTITY l{k + 1} "{f"&l{k};" * 10}">' for k in range(9))
HARMS: dict[str, tuple[Callable[[h5py.File], None], str]] = {  # name: what is done, what is said of it
    "ints": (replace("kspace", data=np.ones((3, 64, 48), int)), "kspace must be complex"),
    "strings": (replace("kspace", data=np.full((3, 64, 48), b"x")), "kspace must be complex"),
    "compound": (
        replace("kspace", shape=(3, 64, 48), dtype=[("real", "f4"), ("imag", "f4")]),
        "kspace must be complex",
    ),
    "null space": (replace("kspace", data=h5py.Empty("c8")), "kspace must be complex"),
    "rank 2": (replace("kspace", data=np.ones((64, 48), "c8")), "kspace must be complex"),
    "rank 5": (replace("kspace", data=np.ones((1, 1, 3, 64, 48), "c8")), "kspace must be complex"),
    "no slice": (replace("kspace", shape=(0, 64, 48), dtype="c8"), "kspace must be complex"),
    "a group": (group("kspace"), "is a group"),
    "a type": (link("kspace", np.dtype("c8")), "kspace must be a dataset, is a datatype"),
    "one column": (replace("kspace", data=np.ones((3, 64, 1), "c8")), "does not fit k-space"),
    "terabytes": (
        replace("kspace", shape=(3, 8192, 50 * 8192), dtype="c8", chunks=(1, 64, 64)),
        "at most 8192 a side",
    ),
    "many slices": (
        replace("kspace", shape=(2**40, 64, 48), dtype="c8", chunks=(1, 64, 48)),
        "must be at most 17179869184 bytes",
    ),
    "overflow": (
        replace("kspace", shape=(2**62, 64, 48), dtype="c8", chunks=(1, 64, 48), maxshape=(None, 64, 48)),
        "kspace",
    ),
    "sparse": (
        replace("kspace", shape=(30000, 64, 48), dtype="c8", chunks=(1, 64, 48)),
        "of which the file holds 0",
    ),
    "never written": (replace("kspace", shape=(3, 64, 48), dtype="c8"), "of which the file holds 0"),
    "one chunk": (
        replace("kspace", shape=(3, 8000, 8000), dtype="c8", chunks=(3, 8000, 8000)),
        "chunks of at most",
    ),
    "bomb": (bomb, "of which the file holds"),
    "soft loop": (link("kspace", h5py.SoftLink("/kspace")), "kspace is a link"),
    "soft link": (link("kspace", h5py.SoftLink(f"/{TARGET}")), "kspace is a link"),
    "dangling link": (link(TARGET, h5py.SoftLink("/nowhere")), f"{TARGET} is a link"),
    "external header": (link("ismrmrd_header", h5py.ExternalLink("pipe", "x")), "ismrmrd_header is a link"),
    "external link": (link("kspace", h5py.ExternalLink("pipe", "kspace")), "kspace is a link"),
    "external file": (
        replace("kspace", shape=(3, 64, 48), dtype="c8", external=[("pipe", 0, 3 * 64 * 48 * 8)]),
        "kspace keeps its samples in another file",
    ),
    "virtual": (virtual("pipe"), "kspace keeps its samples in another file"),
    "target of text": (
        replace(TARGET, data=np.full((3, 32, 32), b"x")),
        f"{TARGET} must be of real numbers",
    ),
    "target too large": (
        replace(TARGET, shape=(3, 64, 10**6), dtype="f4", chunks=(1, 64, 64)),
        "at most 8192 a side",
    ),
    "huge label": (
        attribute("acquisition", np.zeros(8000)),
        "attribute acquisition must be at most",
    ),
    "max is NaN": (attribute("max", np.nan), "attribute max must be a number"),
    "max is text": (attribute("max", "\x1b[2J"), "attribute max must be a number"),
    "max is below 0": (attribute("max", -1.0), "attribute max must be that of magnitudes"),
    "header of numbers": (replace("ismrmrd_header", data=np.arange(3)), "ismrmrd_header must be a scalar"),
    "header of 2 GB": (
        replace("ismrmrd_header", shape=(), dtype="S2000000000"),
        "ismrmrd_header must be at most",
    ),
    "long header": (header(" " * 2**21), "ismrmrd_header must be at most"),
    "header not XML": (header("<"), "ismrmrd_header is not XML"),
    "foreign encoding": (
        replace("ismrmrd_header", data=b'<?xml version="1.0" encoding="utf-7"?><a/>'),
        "ismrmrd_header is not XML",
    ),
    "laughs": (
        header("&l9;", f'<!DOCTYPE a [<!ENTITY l0 "ha">{LAUGHS}]>'),
        "ismrmrd_header holds a DTDForbidden",
    ),
    "entity of a file": (
        header("&x;", '<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]>'),
        "ismrmrd_header holds a DTDForbidden",
    ),
    "no field": (header(""), "ismrmrd_header has no number at encoding/encodedSpace/matrixSize/x"),
    "field of text": (header(encoding(recon="many")), "no number at encoding/reconSpace"),
    "field of another script": (header(encoding(recon="²")), "no number at encoding/reconSpace"),
    "field of a mile": (header(encoding(recon="9" * 5000)), "no number at encoding/reconSpace"),
    "field below zero": (header(encoding(maximum="-1")), "no number at encoding/encodingLimits"),
    "field too large": (header(encoding(maximum="4000")), "header's acquired columns"),
}


def do_harm(path: Path, name: str) -> None:
    """Harm a good file. What it makes anyone read elsewhere is `pipe`, beside it."""
    pipe = path.with_name("pipe")
    if not pipe.exists():
        os.mkfifo(pipe)
    here = os.getcwd()
    os.chdir(path.parent)
    try:
        with h5py.File(path, "r+") as file:
            HARMS[name][0](file)
    finally:
        os.chdir(here)
