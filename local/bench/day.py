"""Owns a day of idle sessions in virtual time: what the timer's 288 runs cost in calls to vault and provider.

Peers and bundle share this process, so that moving its clock moves everybody's. Runs as
`python -m local.bench.day '{"sessions": 100}'`.
"""

import asyncio
import json
import os
import sys
import tempfile
from pathlib import Path

from local.bench import lean_http
from local.bench.clients import bundle
from local.bench.fill import fill
from local.bench.processes import Peers
from local.bench.provider import LeanProvider
from local.bench.rounds import STEP_S
from local.bench.vault import CountedVault, as_dict
from local.clock import MovableClock
from local.listen import Listener
from local.tls import make_authority

_STEPS = 24 * 3600 // STEP_S


async def measure(*, sessions: int) -> dict[str, object]:
    """Calls of a whole day, once the first runs have looked at everything."""
    with tempfile.TemporaryDirectory(prefix="onenote-auth-bench-") as folder:
        authority = make_authority(Path(folder))
        provider, listener, control = LeanProvider(), Listener(tls=authority.context), Listener()
        provider.start(f"https://localhost:{await lean_http.serve(provider.handle, authority.context)}")
        vault = CountedVault(listener.url())
        await listener.serve(vault.make_app())
        await control.serve(vault.make_control())
        peers = Peers(
            provider=provider.url, vault=listener.url(), control=control.url("127.0.0.1"), bundle=authority.bundle
        )
        os.environ.update(peers.settings("sweep"))
        fill(vault.vault.store, sessions=sessions, due=0)
        parts = await bundle()
        await parts.sweep.run()
        vault.usage.clear()
        provider.calls.clear()
        clock = MovableClock()
        renewed = listed = 0
        for _ in range(_STEPS):
            clock.advance(STEP_S)
            summary = await parts.sweep.run()
            renewed += summary.renewed
            listed += summary.sessions
        clock.reset()
        await listener.close()
        await control.close()
        return {
            "sessions": sessions,
            "renewed": renewed,
            "passes": listed / sessions,  # every session stands once in each
            "provider": provider.calls,
            "vault": as_dict(vault.usage["sweep"]),
        }


if __name__ == "__main__":
    print(json.dumps(asyncio.run(measure(**json.loads(sys.argv[1])))))
