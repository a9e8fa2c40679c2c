"""`python -m hybrid`."""

from __future__ import annotations

import sys

from hybrid.cli import main

if __name__ == "__main__":
    sys.exit(main())
