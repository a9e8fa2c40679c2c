from __future__ import annotations

import signal
import sys

from benchmarks.command import main

signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # an exit that ends the servers too
sys.exit(main())
