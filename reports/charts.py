"""Charts: static SVG from Matplotlib, to stand within a page: text is text, and colours are the page's own in either theme."""

from __future__ import annotations

import io
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from markupsafe import Markup, escape

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["INK", "MUTED", "RULE", "SERIES", "STATES", "canvas", "dots", "svg"]

#: Colours to draw with. They stand for the style sheet's own, which `svg` writes in their place.
INK, MUTED, RULE = "#010203", "#010204", "#010205"
SERIES = ("#010211", "#010212", "#010213", "#010214", "#010215", "#010216")
#: Colours of the states that an op may be in.
STATES = {
    state: f"#0103{number}"
    for number, state in enumerate(("correct", "lossy", "known", "new", "undecided", "unsupported", "not judged"), 10)
}
MEANT = (
    {INK: "currentColor", MUTED: "var(--muted)", RULE: "var(--rule)", STATES["not judged"]: "var(--rule)"}
    | {colour: f"var(--series-{number})" for number, colour in enumerate(SERIES, 1)}
    | {colour: f"var(--{state})" for state, colour in STATES.items() if state != "not judged"}
)

_SETTINGS: Any = {
    "svg.fonttype": "none", "svg.hashsalt": "adjudge", "font.size": 9.0, "font.family": "sans-serif",
    "text.color": INK, "axes.labelcolor": MUTED, "axes.edgecolor": RULE, "xtick.color": RULE, "ytick.color": RULE,
    "xtick.labelcolor": MUTED, "ytick.labelcolor": MUTED, "axes.spines.top": False, "axes.spines.right": False,
    "axes.linewidth": 0.8, "xtick.major.size": 3.0, "ytick.major.size": 3.0, "xtick.minor.size": 0.0, "ytick.minor.size": 0.0,
    "grid.color": RULE, "grid.linewidth": 0.6, "legend.frameon": False, "axes.unicode_minus": True, "path.simplify": False,
}  # fmt: skip


@contextmanager
def canvas(
    width: float = 640, height: float = 240, margins: tuple[float, float, float, float] | None = None
) -> Iterator[tuple[Figure, Axes]]:
    """A figure of so many CSS pixels and its axes, to be drawn on and handed to `svg` within the context.

    `margins` are fractions left, right, bottom and top of the axes, where many charts should be alike; otherwise what is drawn
    finds its own place.
    """
    import matplotlib
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure

    with matplotlib.rc_context(_SETTINGS):
        figure = Figure(figsize=(width / 72, height / 72), layout=None if margins else "constrained")
        FigureCanvasSVG(figure)
        figure.patch.set_visible(False)
        axes = figure.subplots()
        axes.patch.set_visible(False)
        if margins is not None:
            figure.subplots_adjust(**dict(zip(("left", "right", "bottom", "top"), margins, strict=True)))
        yield figure, axes


def dots(axes: Axes, points: Iterable[tuple[float, float]], colour: str, size: float = 3.5) -> None:
    """Round dots at some points, as a single path: far smaller than Matplotlib's markers."""
    from matplotlib.patches import PathPatch
    from matplotlib.path import Path

    places = [place for point in points for place in (point, point)]
    if places:
        codes = [Path.MOVETO, Path.LINETO] * (len(places) // 2)
        axes.add_patch(PathPatch(Path(places, codes), fill=False, edgecolor=colour, linewidth=size, capstyle="round"))
        axes.update_datalim(places)
        axes.autoscale_view()


def svg(figure: Figure, title: str, description: str, name: str) -> Markup:
    """A figure as an ``<svg>`` element for a page.

    Parameters
    ----------
    figure : Figure
        Drawn in the colours of this module.
    title, description : str
        What it shows, and what is to be seen in it, for those who cannot see it.
    name : str
        Unlike that of every other chart on the page: letters, digits and hyphens.
    """
    if not re.fullmatch(r"[A-Za-z][\w-]*", name):
        raise ValueError(f"a chart's name {name!r} must begin with a letter and have letters, digits, '_' and '-' only")
    with io.StringIO() as file:
        figure.savefig(file, format="svg", metadata={"Date": None, "Creator": None, "Format": None, "Type": None})
        text = file.getvalue()
    text = text[text.index("<svg") :]
    head, body = text[: text.index(">") + 1], text[text.index(">") + 1 :]
    view = re.search(r'viewBox="([^"]*)"', head)
    assert view is not None
    body = re.sub(r"<!--.*?-->|<metadata>.*?</metadata>|<style.*?</style>", "", body, flags=re.DOTALL)
    used = set(re.findall(r'(?:url\(|href=")#([^")]+)', body))
    body = re.sub(r' id="([^"]*)"', lambda m: f' id="{name}-{m[1]}"' if m[1] in used else "", body)
    body = re.sub(r'(url\(|xlink:href=")#', lambda m: f"{m[1].removeprefix('xlink:')}#{name}-", body)
    body = re.sub(r'<path d="([^"]*)"', lambda m: f'<path d="{_rounded(m[1])}"', body)
    body = re.sub(r"\d+\.\d{3,}", lambda m: f"{float(m[0]):.2f}", body)
    body = re.sub(r"font-family: [^;\"]*; ?| transform=\"rotate\(-0 [^\"]*\"", "", body)  # the page has a typeface of its own
    for colour, meant in MEANT.items():
        body = body.replace(colour, meant)
    body = re.sub(r">\s+<", "><", body).replace("<g></g>", "").strip()
    labels = f'<title id="{name}-title">{escape(title)}</title><desc id="{name}-desc">{escape(description)}</desc>'
    return Markup(
        f'<svg class="chart" viewBox="{view[1]}" role="img" aria-labelledby="{name}-title {name}-desc">{labels}{body}'
    )


def _rounded(path: str) -> str:
    """A path with coordinates of a tenth of a pixel, on one line."""
    return re.sub(r"M (\S+ \S+) L \1(?= |$)", r"M\1h0", " ".join(_short(word) for word in path.split()))


def _short(word: str) -> str:
    try:
        return f"{float(word):.1f}".removesuffix(".0")
    except ValueError:
        return word
