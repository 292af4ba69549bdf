"""The part of the ISMRMRD header that fastMRI files rely on: matrix sizes and acquired columns."""

import xml.etree.ElementTree as ElementTree
from typing import NamedTuple

import defusedxml
import defusedxml.ElementTree

from fastmri.opening import LARGEST_HEADER, one_line

NAMESPACE = "http://www.ismrm.org/ISMRMRD"
_ENCODING = "encoding/{space}/matrixSize/{axis}"
_DIGITS = 9  # more are no count of columns, and int() takes long over thousands
_LIMITS = "encoding/encodingLimits/kspace_encoding_step_1/{name}"


class Header(NamedTuple):
    """Matrix sizes as (x, y, z): x is the readout (rows of k-space), y the phase encode (columns)."""

    encoded: tuple[int, int, int]
    recon: tuple[int, int, int]
    center: int  # index of the k-space centre among the acquired columns
    maximum: int  # index of the last acquired column

    @property
    def acquired(self) -> tuple[int, int]:
        """Columns [left, right) of k-space that the scanner acquired; the others are zero padding."""
        left = self.encoded[1] // 2 - self.center
        return left, left + self.maximum + 1


def parse_header(xml: bytes) -> Header:
    """Read an ISMRMRD header; raises ValueError that names the missing or malformed element.

    One that defines entities is refused: they grow beyond memory, or name files to read.
    """
    if len(xml) > LARGEST_HEADER:
        raise ValueError(f"ismrmrd_header must be at most {LARGEST_HEADER} bytes, has {len(xml)}")
    try:
        root = defusedxml.ElementTree.fromstring(xml, forbid_dtd=True)
    except defusedxml.DefusedXmlException as error:
        raise ValueError(f"ismrmrd_header holds a {type(error).__name__}, which is not allowed") from None
    # an encoding that is not known, or that is not ASCII's for ASCII, is no syntax error
    except (ElementTree.ParseError, LookupError, ValueError) as error:
        raise ValueError(f"ismrmrd_header is not XML: {one_line(error)}") from None

    def number(path: str) -> int:
        node = root.find("/".join(f"{{{NAMESPACE}}}{tag}" for tag in path.split("/")))
        text = "" if node is None else (node.text or "").strip()
        if not (text.isdecimal() and len(text) <= _DIGITS):
            raise ValueError(f"ismrmrd_header has no number at {path}")
        return int(text)

    def matrix(space: str) -> tuple[int, int, int]:
        x, y, z = (number(_ENCODING.format(space=space, axis=axis)) for axis in "xyz")
        return x, y, z

    return Header(
        encoded=matrix("encodedSpace"),
        recon=matrix("reconSpace"),
        center=number(_LIMITS.format(name="center")),
        maximum=number(_LIMITS.format(name="maximum")),
    )


def format_header(header: Header) -> bytes:
    """Write a header that `parse_header` and the official fastMRI loader read."""
    root = ElementTree.Element("ismrmrdHeader", xmlns=NAMESPACE)
    encoding = ElementTree.SubElement(root, "encoding")
    ElementTree.SubElement(encoding, "trajectory").text = "cartesian"
    for space, sizes in (("encodedSpace", header.encoded), ("reconSpace", header.recon)):
        matrix = ElementTree.SubElement(ElementTree.SubElement(encoding, space), "matrixSize")
        for axis, size in zip("xyz", sizes, strict=True):
            ElementTree.SubElement(matrix, axis).text = str(size)
    limits = ElementTree.SubElement(
        ElementTree.SubElement(encoding, "encodingLimits"), "kspace_encoding_step_1"
    )
    for name, value in (("minimum", 0), ("maximum", header.maximum), ("center", header.center)):
        ElementTree.SubElement(limits, name).text = str(value)
    return ElementTree.tostring(root, encoding="utf-8", xml_declaration=True)
