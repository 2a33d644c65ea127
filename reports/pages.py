"""Pages: templates filled in with what was read, every text escaped, as one HTML file that needs nothing else."""

from __future__ import annotations

from functools import cache
from importlib.metadata import version
from importlib.resources import files
from typing import Any

from jinja2 import Environment, FunctionLoader, StrictUndefined
from markupsafe import Markup

__all__ = ["look", "render"]


def _part(*names: str) -> str:
    return files("adjudge.reports").joinpath(*names).read_text("utf-8")


def look() -> Markup:
    """The style sheet, to stand within a page."""
    return Markup(_part("look.css"))


@cache
def _environment() -> Environment:
    return Environment(
        loader=FunctionLoader(lambda name: _part("templates", name)), autoescape=True, undefined=StrictUndefined,
        trim_blocks=True, lstrip_blocks=True,
    )  # fmt: skip


def render(template: str, **context: Any) -> str:
    """Fill in a template of ``reports/templates``.

    Parameters
    ----------
    template : str
        Its name; most extend ``base.html``, which has the blocks ``title``, ``top``, ``main`` and ``foot``.
    **context
        What the template names. Text is escaped; only `markupsafe.Markup`, such as a chart, goes in as it is.

    Examples
    --------
    >>> "<main" in render("base.html")
    True
    """
    return _environment().get_template(template).render(look=look(), version=version("adjudge"), **context)
