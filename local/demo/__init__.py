"""The walk of `dev.py demo`: what a person sees on the embedded stack, step by step, each step checked.

`python -m local.demo` walks the main job, `--all` every row of the requirements, failures included. A walk is a
list of steps; the first that isn't as it must be ends the demo with exit code 1 and says what was expected.
"""

from local.demo.secrets_held import holds_token, token_strings
from local.demo.visit import DAY_S, NOTEBOOKS, PURGE_AFTER_S

__all__ = ["DAY_S", "NOTEBOOKS", "PURGE_AFTER_S", "holds_token", "token_strings"]
