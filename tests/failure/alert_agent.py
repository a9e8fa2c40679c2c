"""`python -m hybrid agent` in a hurry: leases are short, and failed deliveries are tried again soon."""

from __future__ import annotations

import sys

from hybrid.cli import main
from hybrid.core import outbox
from hybrid.replication import election
from hybrid.types import Store

election.TERM_S = {Store.LOCAL: 1.0, Store.CLOUD: 2.0}  # type: ignore[misc]
election.RENEW_S = dict.fromkeys(Store, 0.2)  # type: ignore[misc]
election.PATIENCE_S = 1.0  # type: ignore[misc]
outbox.CLAIM_S = 2.0  # type: ignore[misc]
outbox.BACKOFF_S = (0.2, 1.0)  # type: ignore[misc]

if __name__ == "__main__":
    sys.exit(main(["agent", "-v", "--env-file", "/dev/null"]))
