"""An application under load that knows nothing of live configuration: settings come from its environment.

Says `ready`, and with each line of its input reports what it has done so far as JSON; ends with its input.
"""

from __future__ import annotations

import json
import sys
import threading

from hybrid import HybridRedis


def work() -> None:
    stopped = threading.Event()
    done = {"commands": 0, "failed": []}

    with HybridRedis.from_env(None) as client:
        client.start()

        def load() -> None:
            number = 0
            while not stopped.wait(0.001):
                number += 1
                try:
                    client.set(f"{client.settings.name}:{number % 50}", number)
                    client.get(f"{client.settings.name}:{number % 50}")
                    client.incr(f"{client.settings.name}:count")
                    done["counted"] = number
                except Exception as error:
                    done["failed"].append(repr(error))
                done["commands"] += 3

        thread = threading.Thread(target=load)
        thread.start()
        print("ready", flush=True)
        for _ in sys.stdin:
            settings = client.settings
            facts = {"version": client.live.version, "reads": settings.read_preference, "both": settings.write_both}
            print(json.dumps({**done, **facts}), flush=True)
        stopped.set()
        thread.join()


if __name__ == "__main__":
    work()
