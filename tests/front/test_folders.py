"""What a run leaves on the disk when the disk is full, when another run writes there, and when a run was killed."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from adjudge.records.files import Records, read_records
from adjudge.records.models import CheckRun, EndRecord
from adjudge.records.text import write_text

#: A backend whose answers are right, and wait for a file where the test wants that.
SLOW = """
import os, time
from adjudge.backends.mirror import dtypes, versions, vjp as right

name = "slow"


def vjp(program, inputs, cotangent):
    open("asked", "w").close()
    while os.path.exists("wait"):
        time.sleep(0.01)
    return right(program, inputs, cotangent)
"""
CHECK = [sys.executable, "-m", "adjudge", "check", "slow.py", "--op", "exp", "--profile", "quick", "--dtype", "float64",
         "-j", "1", "--legs", "balls"]  # fmt: skip


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """A folder with a backend in it; nothing waits there for ever."""
    (tmp_path / "slow.py").write_text(SLOW)
    yield tmp_path
    (tmp_path / "wait").unlink(missing_ok=True)


def start(folder: Path, *before: str) -> subprocess.Popen[str]:
    """A check, in a process of its own."""
    return subprocess.Popen([*before, *CHECK], cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def wait_for(place: Path) -> None:
    """Wait until a file is there."""
    deadline = time.monotonic() + 60
    while not place.exists():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_a_full_disk_ends_a_run_with_one_sentence_and_what_was_written_can_be_read(folder: Path) -> None:
    check = start(folder, "sh", "-c", 'ulimit -f 12; exec "$@"', "sh")  # no file may have more than 12 blocks
    out, err = check.communicate(timeout=120)
    assert check.returncode == 2, out + err
    assert err.startswith(
        "adjudge: no more can be written to adjudge-report: No space left on device; what is there can be read"
    )
    assert err.count("\n") == 1
    reading = read_records(folder / "adjudge-report")
    assert len(reading.records) > 1
    assert reading.torn.endswith("is torn and was left out")


def test_a_report_that_says_passed_is_not_left_by_a_run_that_could_not_write_the_others(folder: Path) -> None:
    check = start(folder, "sh", "-c", 'ulimit -f 40; exec "$@"', "sh")  # enough for the records, not for the page
    out, err = check.communicate(timeout=120)
    assert check.returncode == 2, out + err
    assert "no more can be written" in err
    assert {path.name for path in (folder / "adjudge-report").iterdir()}.isdisjoint({"report.json", "index.html"})


def test_a_folder_where_a_page_is_due_is_one_sentence(folder: Path) -> None:
    (folder / "adjudge-report" / "index.html").mkdir(parents=True)
    out, err = start(folder).communicate(timeout=120)
    assert err == "adjudge: no more can be written to adjudge-report: Is a directory; what is there can be read, " \
        "and --report-dir names another place\n"  # fmt: skip


def test_after_a_torn_record_comes_no_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    records, write = Records(tmp_path / "records.ndjson"), os.write
    records.append(CheckRun(backend="toy"))
    monkeypatch.setattr(os, "write", lambda file, line: write(file, line[:10]))
    for _ in range(2):
        with pytest.raises(OSError, match="No space left"):
            records.append(EndRecord(seconds=1.0))
        monkeypatch.undo()
    records.close()
    reading = read_records(tmp_path / "records.ndjson")
    assert [record.kind for record in reading.records] == ["run"]
    assert reading.torn.endswith("is torn and was left out")


def test_a_file_that_cannot_be_written_whole_is_left_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_text(tmp_path / "page.html", "as it was")

    def full(*args: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(OSError, match="No space left"):
        write_text(tmp_path / "page.html", "half")
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == {"page.html": "as it was"}


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no device that is always full")
def test_output_that_cannot_be_written_is_one_sentence() -> None:
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "adjudge", "list", "ops"], stdout=full, stderr=subprocess.PIPE, text=True, check=False
        )
    assert (done.returncode, done.stderr) == (2, "adjudge: not everything could be written: No space left on device\n")


def test_of_two_checks_in_one_folder_the_second_is_refused_and_the_first_loses_nothing(folder: Path) -> None:
    (folder / "wait").touch()
    first = start(folder)
    wait_for(folder / "asked")
    second = start(folder)
    out, err = second.communicate(timeout=60)
    assert second.returncode == 2, out
    assert err.startswith("adjudge: another `adjudge check` is writing to adjudge-report: ")
    assert err.count("\n") == 1
    (folder / "wait").unlink()
    out, err = first.communicate(timeout=120)
    assert first.returncode == 0, out + err
    reading = read_records(folder / "adjudge-report")
    assert [record.kind for record in reading.records].count("run") == 1
    assert (reading.records[-1].kind, reading.torn) == ("end", "")


def test_a_run_that_was_killed_is_in_nobody_s_way(folder: Path) -> None:
    (folder / "wait").touch()
    first = start(folder)
    wait_for(folder / "asked")
    first.send_signal(signal.SIGKILL)
    first.communicate(timeout=60)
    (folder / "wait").unlink()
    second = start(folder)
    out, err = second.communicate(timeout=120)
    assert second.returncode == 0, out + err


def test_what_a_library_says_is_no_command_to_whatever_shows_it(folder: Path) -> None:
    rude = 'raise ValueError("\\ud800\\x1b[2J\\u202e</script><script>`" + "\\x9b31m")'
    (folder / "slow.py").write_text(SLOW.replace("return right(program, inputs, cotangent)", rude))
    check = start(folder)
    out, err = check.communicate(timeout=120)
    assert check.returncode == 1
    assert (out + err).replace("\n", "").isprintable()
    assert "ValueError: \\ud800\\x1b[2J\\u202e" in " ".join(out.split())
    for name in ("records.ndjson", "report.json", "junit.xml", "summary.md", "index.html"):
        text = (folder / "adjudge-report" / name).read_text("utf-8")
        assert text.replace("\n", "").replace("\t", "").isprintable()
        assert "</script><script>" not in text or name.endswith("json")
    assert "\\ud800" in read_records(folder / "adjudge-report").records[1].model_dump()["reason"]


def test_a_name_that_is_no_text_is_shown_as_it_is_spelled(tmp_path: Path) -> None:
    command: list[str | bytes] = [sys.executable, "-m", "adjudge", "replay", b"\xff\x1b[2J.json"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, check=False)
    assert done.returncode == 2
    assert done.stderr == b"adjudge: case \\udcff\\x1b[2J.json cannot be read: No such file or directory\n"
