"""``python -m adjudge`` is the command `adjudge`."""

import os
import sys

if sys.path and sys.path[0] in ("", os.getcwd()):
    del sys.path[0]  # what lies in the working folder is the accused's, and is imported in its own process alone

from adjudge.cli import main

if __name__ == "__main__":
    main(prog_name="adjudge")
