"""How many programs a second are drawn, asked, and judged by balls and series, on one core."""

import time
from typing import Any

import numpy as np
import pytest

from adjudge.records.models import Record
from adjudge.suite.examiner import Examiner
from adjudge.suite.settings import Settings
from adjudge.suite.subjects import perform
from adjudge.suite.tasks import tasks


@pytest.mark.parametrize("backend", ["mirror", "mygrad"])
def test_judged_programs_a_second(backend: str, benchmark: Any) -> None:
    if backend != "mirror":
        pytest.importorskip(backend)
    examiner = Examiner(Settings(backend, profile="quick", seed=0, legs=("balls", "series")))
    rates = []

    def whole() -> None:
        records: list[Record] = []
        start = time.perf_counter()
        for task in tasks(examiner.settings, ("float64", "float32")):
            perform(task, examiner, records.append)
        rates.append(sum(r.kind == "outcome" for r in records) / (time.perf_counter() - start))

    benchmark.pedantic(whole, rounds=2)
    print(f"\n  {backend}: {np.median(rates):.0f} judged programs a second", end="")
    assert np.median(rates) > 0
