"""Continuous integration: a run as JUnit XML, as a job's summary in Markdown, and as annotations."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from xml.etree import ElementTree

from ..records.causes import row_of
from ..records.sentences import failure_sentence, ledger_sentence
from ..records.summary import CATEGORIES, JUDGED, OpSummary, Summary, counted
from ..records.text import write_text
from .report import case_lines, replay_command

__all__ = ["HEADLINES", "JUNIT", "MARKDOWN", "annotate", "job_summary", "junit", "write_for_ci"]

JUNIT, MARKDOWN = "junit.xml", "summary.md"
#: The exit status in words.
HEADLINES = {0: "PASSED", 1: "FAILED", 2: "NO VERDICT", 4: "ORACLE IN DOUBT", 130: "INTERRUPTED"}
#: Bytes of the job's summary; GitHub accepts 1 MiB for all steps of a job.
MOST_BYTES = 64_000
#: Annotations of one kind that GitHub shows of a step.
MOST_ANNOTATIONS = 10

_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def _xml(text: object) -> str:
    """Text without what no XML document may hold."""
    return _NOT_XML.sub("\ufffd", str(text))


def junit(summary: Summary, *, strict: bool = False) -> str:
    """A run as JUnit XML: a suite per family with a case per op, one of the ledger's entries, and one of the run itself.

    The run's own case is there where it fell short of a verdict: then it is an error.

    Parameters
    ----------
    summary : Summary
    strict : bool
        Whether loss of digits fails.
    """
    root = ElementTree.Element("testsuites", name=_xml(f"adjudge {summary.header.backend}"))
    families: dict[str, list[OpSummary]] = {}
    for op in summary.ops.values():
        families.setdefault(op.family or "not judged", []).append(op)
    for family, ops in families.items():
        suite = _suite(root, summary, family)
        for op in ops:
            _op_case(suite, summary, op, strict)
        _count(suite)
    if summary.ledger:
        suite = _suite(root, summary, "ledger")
        for record in summary.ledger:
            case = ElementTree.SubElement(suite, "testcase", name=_xml(record.id), classname="ledger", time="0")
            if record in summary.stale:
                _note(case, "failure", ledger_sentence(record), record.state)
            elif record.state == "not judged":
                _note(case, "skipped", ledger_sentence(record))
        _count(suite)
    if shortcomings := summary.shortcomings():
        suite = _suite(root, summary, "run")
        case = ElementTree.SubElement(suite, "testcase", name="run", classname="run", time="0")
        _note(case, "error", "; ".join(shortcomings), HEADLINES[summary.status(strict)].lower())
        _count(suite)
    ElementTree.indent(root)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + ElementTree.tostring(root, encoding="unicode") + "\n"


def _suite(root: ElementTree.Element, summary: Summary, family: str) -> ElementTree.Element:
    started = re.match(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d", summary.header.started)
    more = {"timestamp": started[0]} if started else {}
    return ElementTree.SubElement(root, "testsuite", {"name": _xml(family), "hostname": "localhost", **more})


def _op_case(suite: ElementTree.Element, summary: Summary, op: OpSummary, strict: bool) -> None:
    case = ElementTree.SubElement(
        suite, "testcase", name=_xml(op.op), classname=_xml(op.family or "not judged"), time=f"{op.seconds:.3f}"
    )
    failures = [f for f in summary.failures if row_of(f, summary.header.catalogue) == op.op]
    sentences = [failure_sentence(f, summary.header.backend) for f in failures]
    programs = ["\n".join(case_lines(f.case)) for f in failures]
    no_longer = summary.support_lost(op.op)
    if any(d.op == op.op for d in summary.disagreements):
        _note(case, "error", "the oracle's legs disagree with each other", "oracle in doubt")
    elif op.categories["new"] or (strict and op.categories["lossy"]):
        lost = counted(op.categories["lossy"], "answer") + " lost digits, and accuracy is strict"
        sentence = next(iter(sentences), counted(op.categories["new"], "new failure") if op.categories["new"] else lost)
        _note(case, "failure", sentence, op.state, "\n\n".join(map("\n".join, zip(sentences, programs, strict=True))))
    elif no_longer:
        _note(case, "failure", no_longer[0], "support lost", "\n".join(no_longer))
    elif not op.judged:
        _note(case, "skipped", f"not verified: {op.state}")
    out = ElementTree.SubElement(case, "system-out")
    out.text = op.told


def _note(case: ElementTree.Element, kind: str, message: str, type_: str = "", text: str = "") -> None:
    note = ElementTree.SubElement(case, kind, {"message": _xml(message)} | ({"type": _xml(type_)} if type_ else {}))
    note.text = _xml(text) or None


def _count(suite: ElementTree.Element) -> None:
    cases = suite.findall("testcase")
    suite.set("tests", str(len(cases)))
    for kind, name in (("failure", "failures"), ("error", "errors"), ("skipped", "skipped")):
        suite.set(name, str(sum(case.find(kind) is not None for case in cases)))
    suite.set("time", f"{sum(float(case.get('time', 0)) for case in cases):.3f}")


# -- Markdown ------------------------------------------------------------------------------------------------------------------


def _words(text: object) -> str:
    """Text that Markdown leaves as it is, even in a cell of a table."""
    return re.sub(r"([\\`*_\[\]~|#!<>@$&])", lambda m: f"&#{ord(m[1])};", " ".join(str(text).split()))


def job_summary(summary: Summary, *, strict: bool = False) -> str:
    """A run in Markdown, the tables first, cut at `MOST_BYTES`."""
    header, backend = summary.header, summary.header.backend
    versions = ", ".join(f"{package} {version}" for package, version in header.versions.items())
    head = [
        f"## adjudge: {_words(backend)} {HEADLINES[summary.status(strict)]}",
        "",
        f"| judged | {' | '.join(CATEGORIES)} |",
        "|--:" * (len(CATEGORIES) + 1) + "|",
        f"| {summary.judged} | {' | '.join(str(summary.count(c)) for c in CATEGORIES)} |",
        "",
        _words("; ".join(summary.reasons(strict))) + ".",
        "",
        f"{_words(versions)}; profile {_words(header.profile)}, seed {_words(header.seed)}, {_words(header.started)}.",
        "",
    ]
    body = [*_op_lines(summary), *_failure_lines(summary, backend), *_lost_lines(summary), *_ledger_lines(summary)]
    return _cut([*head, *body, *_unjudged_lines(summary)])


def _op_lines(summary: Summary) -> Iterator[str]:
    notable = [op for op in summary.ops.values() if op.judged and op.state != "correct"]
    if notable:
        yield f"| op | state | judged | {' | '.join(CATEGORIES)} |"
        yield "|:--|:--|" + "--:|" * (len(CATEGORIES) + 1)
        for op in sorted(notable, key=lambda op: -JUDGED.index(op.state)):
            counts = " | ".join(str(op.categories[c] or "") for c in CATEGORIES)
            yield f"| {_words(op.op)} | {op.state} | {op.judged} | {counts} |"
        yield ""
    right = sum(op.state == "correct" for op in summary.ops.values())
    yield f"{counted(right, 'op')} with nothing but correct answers."
    yield ""


def _failure_lines(summary: Summary, backend: str) -> Iterator[str]:
    if summary.failures:
        yield "### New failures"
        yield ""
    for cause in summary.causes:
        for n, failure in enumerate(cause.failures):
            sentence = _words(failure_sentence(failure, backend))
            yield f"  - also: {sentence}" if n else f"- {sentence} (seen in {_words(cause.extent)})"
            command = replay_command(failure.case, summary.header)
            if "`" not in command and "\n" not in command:  # in Markdown it stands as it is
                yield f"  {'  ' if n else ''}`{command}`"
    if summary.failures:
        yield ""


def _lost_lines(summary: Summary) -> Iterator[str]:
    if summary.lost:
        yield "### Support lost"
        yield ""
        yield from (f"- {_words(sentence.removeprefix('support lost: '))}" for sentence in summary.support_lost())
        yield ""


def _ledger_lines(summary: Summary) -> Iterator[str]:
    if summary.stale:
        yield "### Ledger"
        yield ""
        yield from (f"- {_words(ledger_sentence(record))}" for record in summary.stale)
        yield ""


def _unjudged_lines(summary: Summary) -> Iterator[str]:
    names = [op.op for op in summary.ops.values() if not op.judged]
    if names:
        yield f"Not judged: {', '.join(map(_words, names))}."


def _cut(lines: list[str]) -> str:
    kept, left = [], MOST_BYTES - 200
    for number, line in enumerate(lines):
        left -= len(line.encode()) + 1
        if left < 0:
            kept += ["", f"Cut here: {len(lines) - number} more lines are in the report."]
            break
        kept.append(line)
    return "\n".join(kept) + "\n"


# -- annotations ---------------------------------------------------------------------------------------------------------------


def annotate(summary: Summary, *, strict: bool = False) -> list[str]:
    """Workflow commands that GitHub shows beside a job: one per reason why the gate fails, as many as it shows."""
    shown = [cause.failures[0] for cause in summary.causes if cause.failures]
    errors = [(f"{f.blamed or f.op} is {f.verdict}", failure_sentence(f, summary.header.backend)) for f in shown]
    errors += [("support lost", sentence) for sentence in summary.support_lost()]
    errors += [("ledger", ledger_sentence(record)) for record in summary.stale]
    errors += [("adjudge's oracle in doubt", f"legs disagree on a program of {d.op}") for d in summary.disagreements]
    if not errors and summary.status(strict):
        errors = [(HEADLINES[summary.status(strict)].lower(), "; ".join(summary.reasons(strict)))]
    if len(errors) > MOST_ANNOTATIONS:
        more = len(errors) - MOST_ANNOTATIONS + 1
        errors = [*errors[: MOST_ANNOTATIONS - 1], ("more", f"{more} more are in the report")]
    return [f"::error title={_property(f'adjudge: {title}')}::{_data(message)}" for title, message in errors]


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")


def write_for_ci(
    folder: Path, summary: Summary, *, strict: bool = False, surroundings: Mapping[str, str] = os.environ
) -> list[str]:
    """Write ``junit.xml`` and ``summary.md`` into a folder, and the latter to the job's summary as well.

    Returns
    -------
    list of str
        Annotations to print, where GitHub Actions reads what is printed.
    """
    text = job_summary(summary, strict=strict)
    write_text(folder / JUNIT, junit(summary, strict=strict))
    write_text(folder / MARKDOWN, text)
    if file := surroundings.get("GITHUB_STEP_SUMMARY"):
        with open(file, "a", encoding="utf-8") as step:
            step.write(text)
    return annotate(summary, strict=strict) if surroundings.get("GITHUB_ACTIONS") == "true" else []
