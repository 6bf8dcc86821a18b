"""Turns figures of Matplotlib into SVG that is part of a page: it takes the page's colours, and says what it shows."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from xml.etree import ElementTree

import matplotlib as mpl
from markupsafe import Markup
from matplotlib.figure import Figure

SVG, XLINK = "http://www.w3.org/2000/svg", "http://www.w3.org/1999/xlink"
REFERENCE = re.compile(r"url\(#([^)]+)\)")
INK = "#010203"  # stands for the colour of the page's text, which is another one in the dark
WIDTH = 4.2  # inches: 403 pixels, so that text is legible on a phone, where the figure is as wide as the page
STYLE = {
    "svg.fonttype": "none",  # text stays text
    "font.family": "sans-serif",
    "font.size": 9,
    "axes.titlesize": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": INK,
    "axes.labelcolor": INK,
    "axes.titlecolor": INK,
    "text.color": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "legend.frameon": False,
    "lines.linewidth": 1.6,
}


@contextmanager
def drawing(height: float, width: float = WIDTH) -> Iterator[Figure]:
    """A new figure, in inches, and the style that everything in the block is drawn with."""
    with mpl.rc_context(STYLE):
        yield Figure(figsize=(width, height), layout="constrained")


def as_svg(figure: Figure, says: str, texts: Sequence[tuple[str, Sequence[str]]] = ()) -> Markup:
    """The figure as an element of a page.

    says: what it shows, for who cannot see it.
    texts: (gid of a scatter, the text of each of its points), which a mouse pointer shows.
    """
    ElementTree.register_namespace("", SVG)
    ElementTree.register_namespace("xlink", XLINK)
    written = io.StringIO()
    with mpl.rc_context({**STYLE, "svg.hashsalt": says}):  # no two figures of a page share the name of a part
        figure.savefig(written, format="svg", transparent=True, metadata={"Date": None})
    root = ElementTree.fromstring(written.getvalue())
    for metadata in root.findall(f"{{{SVG}}}metadata"):
        root.remove(metadata)
    for gid, of_points in texts:
        points = root.findall(f".//*[@id='{gid}']//{{{SVG}}}use")
        for point, text in zip(points, of_points, strict=True):
            ElementTree.SubElement(point, f"{{{SVG}}}title").text = text
    _drop_unused_names(root)
    for size in ("width", "height"):
        del root.attrib[size]
    root.attrib.update({"role": "img", "aria-label": says})
    return Markup(ElementTree.tostring(root, encoding="unicode").replace(INK, "currentColor"))


def _drop_unused_names(root: ElementTree.Element) -> None:
    """Remove the names of parts that nothing refers to, which are the same in every figure."""
    used = set()
    for element in root.iter():
        used.add(element.get(f"{{{XLINK}}}href", "").removeprefix("#"))
        used.update(name for value in element.attrib.values() for name in REFERENCE.findall(value))
    for element in root.iter():
        if element.get("id") not in used:
            element.attrib.pop("id", None)
