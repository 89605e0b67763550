"""Owns the way from a fresh clone to a running part: a Python, `.venv`, its packages, plain words for what goes wrong.

`dev.py` runs this with whatever `python3` is: standard library only, Python 3.9 or later on Linux, macOS and Windows.
Knows nothing of settings, vaults or tokens.
"""
