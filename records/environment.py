"""Where a run took place, and of which commit the library under test was."""

from __future__ import annotations

import os
import platform
import re
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import numpy as np

from ..oracle.protocol import Backend
from .models import Environment

__all__ = ["commit_of", "cpu", "environment"]


def commit_of(backend: Backend) -> str:
    """The commit of the git checkout that the library under test lies in, "+" where files in it are changed; "" where none."""
    library = next(iter(backend.versions()), "")
    module = sys.modules.get(library.replace("-", "_"))
    place = backend.library or (module and module.__file__) or backend.file
    if not place or "site-packages" in Path(place).parts:
        return ""
    git = ["git", "-C", str(Path(place).parent)]
    try:
        head = subprocess.run([*git, "rev-parse", "--short=12", "HEAD"], capture_output=True, text=True, timeout=10)
        changed = subprocess.run([*git, "status", "--porcelain", "-uno"], capture_output=True, text=True, timeout=10)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return head.stdout.strip() + ("+" if changed.stdout.strip() else "") if head.returncode == 0 else ""


def environment() -> Environment:
    """Where a run took place."""
    threads = {k: v for k in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS") if (v := os.environ.get(k))}
    blas = np.show_config(mode="dicts")
    return Environment(
        cpu=cpu(),
        python=platform.python_version(),
        numpy=np.__version__,
        platform=platform.platform(),
        machine=platform.machine(),
        cores=os.cpu_count(),
        threads=threads,
        blas=str(blas.get("Build Dependencies", {}).get("blas", {}).get("name", "")) if isinstance(blas, dict) else "",
    )


def cpu() -> str:
    """The processor's model name."""
    with suppress(OSError):
        if model := re.search(r"^model name\s*:\s*(.+)$", Path("/proc/cpuinfo").read_text("utf-8"), re.MULTILINE):
            return model[1].strip()
    return platform.processor() or platform.machine()
