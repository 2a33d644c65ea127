"""What a backend does not support, on record: what an entry covers, and what is no entry."""

from dataclasses import replace
from pathlib import Path

import pytest

from adjudge.backends import SHIPPED, load
from adjudge.records.ledger import TENSORS, Ledger, LedgerError, shipped_ledger

ENTRIES = """
[[unsupported]]
id = "no-gru"
op = ["gru", "tensors"]

[[unsupported]]
id = "half-hinge"
op = "multiclass_hinge"
dtype = ["float16"]
versions = "<3"

[[unsupported]]
id = "matrix-norms"
op = "norm"
reason = "matrix norms"

[[unsupported]]
id = "masks"
op = "*"
reason = "out= with where="

[[unsupported]]
id = "forward"
op = "*"
mode = ["jvp", "hvp"]
"""


def ledger(tmp_path: Path, text: str) -> Ledger:
    (tmp_path / "toy.toml").write_text(text)
    return Ledger.read(tmp_path / "toy.toml")


@pytest.mark.parametrize(
    ("mode", "reason", "ops", "dtype", "entry"),
    [
        ("vjp", "toy has no gru", ["gru"], "float64", "no-gru"),
        ("jvp", "toy has no gru", ["gru"], "float64", "no-gru"),
        ("vjp", "toy has no exp", ["exp"], "float64", None),
        ("vjp", "", ["multiclass_hinge"], "float16", "half-hinge"),
        ("vjp", "", ["multiclass_hinge"], "float32", None),
        ("vjp", "norm: no matrix norms here", ["exp", "norm"], "float64", "matrix-norms"),
        ("vjp", "norm: no norms at all", ["norm"], "float64", None),
        ("vjp", "exp: no matrix norms here", ["exp", "norm"], "float64", None),
        ("vjp", "no matrix norms here", ["exp", "norm"], "float64", "matrix-norms"),
        ("vjp", "no out= with where=", ["exp"], "float64", "masks"),
        ("jvp", "toy has no jvp", ["exp"], "float64", "forward"),
    ],
)
def test_an_entry_covers_what_it_is_about(
    tmp_path: Path, mode: str, reason: str, ops: list[str], dtype: str, entry: str | None
) -> None:
    found = ledger(tmp_path, ENTRIES).lacks(mode, reason, ops, dtype, "2.0")
    assert (None if found is None else found.id) == entry


def test_an_entry_without_a_reason_says_that_an_op_is_not_there(tmp_path: Path) -> None:
    known = ledger(tmp_path, ENTRIES)
    whole = {op: known.lacks_all(op, "float16", "2.0") for op in ("gru", TENSORS, "multiclass_hinge", "norm", "exp")}
    ids = {op: None if e is None else e.id for op, e in whole.items()}
    assert ids == {"gru": "no-gru", TENSORS: "no-gru", "multiclass_hinge": "half-hinge", "norm": None, "exp": None}
    assert known.lacks_all("multiclass_hinge", "float16", "3.0") is None
    assert known.lacks_all("multiclass_hinge", "float64", "2.0") is None


def test_a_mode_that_is_there_by_now_is_seen_without_a_question(tmp_path: Path) -> None:
    has_all = load("mirror")
    known = ledger(tmp_path, ENTRIES).lacking
    assert [e.id for e in known if e.outdated(has_all)] == ["forward"]
    assert [e.id for e in known if e.missing(has_all)] == []
    assert [e.id for e in known if e.missing(replace(has_all, jvp=None, hvp={}, supports=lambda op: op != "gru"))] == [
        "no-gru",
        "forward",
    ]
    assert not any(e.outdated(replace(has_all, jvp=None, hvp={})) for e in known)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('id = "x"\nop = "gruu"', "there is no op 'gruu'; did you mean 'gru'"),
        ('id = "x"\nop = "gru"\nmode = "vpj"', "there is no mode 'vpj'; did you mean 'vjp'"),
        ('id = "x"\nop = "gru"\ndtype = ["half"]', "'dtype' must be a list of dtypes"),
        ('id = "x"\nop = "*"', "an entry about op '\\*' needs a 'reason' or a 'mode'"),
        ('id = "x"\nop = "*"\nreason = " "', "an entry about op '\\*' needs a 'reason' or a 'mode'"),
        ('op = "gru"', "unsupported 1: it lacks 'id'"),
        ('id = "masks"\nop = "gru"', "two entries are called 'masks'"),
    ],
)
def test_a_malformed_entry_is_one_sentence(tmp_path: Path, text: str, said: str) -> None:
    more = ENTRIES if "masks" in text else ""
    with pytest.raises(LedgerError, match=said):
        ledger(tmp_path, f"{more}\n[[unsupported]]\n{text}\n")


@pytest.mark.parametrize("backend", SHIPPED)
def test_every_shipped_backend_has_a_ledger(backend: str) -> None:
    assert shipped_ledger(backend).path is not None
