"""The documents from a shell: `python -m storage --help`."""

from __future__ import annotations

import sys

from storage.cli.commands import main

if __name__ == "__main__":
    sys.exit(main())
