"""Owns the benchmarks: the bundle beside its baselines, in one run, on the protocols of the embedded stack.

`python -m local.bench [--quick] [--json FILE]`. Peers (provider, vault, Graph) are processes of their own. They
are lean on purpose: what is measured must be the client. Ratios are the result; absolute figures are this machine's.
"""
