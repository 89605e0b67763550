"""Owns a process that runs the timer's sweep again and again, each time in a child that can be killed.

`python -m tests.faults.sweeper` on the app settings of its environment: imports everything once, then reads lines; for
each it forks a child, prints `started PID`, and `ended STATUS` when that is over (negative: the signal).
"""

import asyncio
import os
import sys

from shared import settings
from shared.compose import Composition


async def sweep() -> None:
    parts = await Composition().parts()
    await parts.sweep.run()


def main() -> None:
    # The embedded provider counts as Entra, where a spent refresh token stays valid.
    host = os.environ["AUTH_AUTHORITY_HOST"]
    settings.PUBLIC_CLOUD_AUTHORITY = host
    settings.MICROSOFT_CLOUDS[host] = (os.environ["GRAPH_BASE_URL"],)
    asyncio.run(warm())
    print("ready", flush=True)
    for _ in sys.stdin:
        child = os.fork()
        if child == 0:
            asyncio.run(sweep())
            os._exit(0)
        print(f"started {child}", flush=True)
        _, status = os.waitpid(child, 0)
        print(f"ended {os.waitstatus_to_exitcode(status)}", flush=True)


async def warm() -> None:
    """Imports and trust roots, which take longer than a sweep does."""
    composition = Composition()
    await composition.parts()
    await composition.close()


if __name__ == "__main__":
    main()
