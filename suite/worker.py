"""The first thing that a worker process does: it starts the backend, and imports the rest of adjudge meanwhile."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from importlib import import_module
from multiprocessing.connection import wait
from typing import Any

from .settings import Settings

__all__ = ["start"]


def start(settings: Settings, records: Any) -> None:
    """Make this process a worker that puts its records into a queue."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = multiprocessing.parent_process()
    assert parent is not None
    threading.Thread(target=_die_with, args=(parent.sentinel,), daemon=True).start()
    loaded = settings.load(meanwhile=lambda: import_module(".run", __package__))
    import_module(".run", __package__).adopt(settings, records, loaded)


def _die_with(sentinel: int) -> None:
    """End this process, and with it those that it started, when the run has been killed."""
    wait([sentinel])
    os._exit(1)
