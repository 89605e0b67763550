"""Owns the command line of the demo."""

import argparse
import os
import sys
from collections.abc import Sequence

from local.demo.run import run
from local.demo.walks import MAIN_JOB, ROWS, WALKS


def main(arguments: Sequence[str] | None = None) -> int:
    """The command. 0 only if every step was checked, and with `--all` every row walked."""
    parser = argparse.ArgumentParser(prog="python -m local.demo", description="The main job, step by step.")
    parser.add_argument("--all", action="store_true", help="every row of the requirements, failures included")
    everything = parser.parse_args(arguments).all
    return run(WALKS, rows=ROWS) if everything else run(MAIN_JOB)


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.stdout.flush()
        print("\nstopped", file=sys.stderr, flush=True)
        # At once: an event loop that was interrupted while it began would complain on the way out.
        os._exit(130)
