"""The published JSON schemas, made from the models; ``python -m adjudge.reports.schemas`` writes them into the package."""

from __future__ import annotations

import json
from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any

from ..records.case import CASE
from ..records.files import RECORD
from .report import Report

__all__ = ["generated", "published"]

DIALECT = "https://json-schema.org/draft/2020-12/schema"


def generated() -> Mapping[str, dict[str, Any]]:
    """Every schema as the models give it, by its place in the package."""
    return {
        "reports/report.schema.json": _titled("adjudge report", Report.model_json_schema(mode="serialization")),
        "records/records.schema.json": _titled("one line of adjudge's records.ndjson", RECORD.json_schema()),
        "records/case.schema.json": _titled("adjudge case", CASE.json_schema()),
    }


def _titled(title: str, schema: dict[str, Any]) -> dict[str, Any]:
    return {"$schema": DIALECT, **schema, "title": title}


def _file(place: str) -> Any:
    room, name = place.split("/")
    return files(f"adjudge.{room}").joinpath(name)


def published(place: str = "reports/report.schema.json") -> dict[str, Any]:
    """A schema as the package has it."""
    return dict(json.loads(_file(place).read_text("utf-8")))


if __name__ == "__main__":
    for place, schema in generated().items():
        Path(str(_file(place))).write_text(json.dumps(schema, indent=1) + "\n", "utf-8")
