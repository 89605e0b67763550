"""Owns whether a port of this machine is free."""

from __future__ import annotations

import socket

from local.setup.places import WINDOWS
from local.setup.troubles import Trouble


def port_fault(port: int) -> str:
    """Why nothing can listen on this port of the loopback; empty when something can."""
    in_use = f"port {port} is in use by another program"
    # By connecting too: what listens on ::1 alone would answer the browsers that go to `localhost`.
    for host in ("127.0.0.1", "::1"):
        try:
            socket.create_connection((host, port), timeout=0.5).close()
        except OSError:
            continue
        return in_use
    with socket.socket() as listener:
        if not WINDOWS:  # there it would let two listen at once; here it forgives connections that just ended
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind(("127.0.0.1", port))
        except PermissionError:
            return f"port {port} is closed to programs without administrator rights"
        except OSError:
            return in_use
    return ""


def check_port(port: int) -> None:
    fault = port_fault(port)
    if fault:
        free = next((other for other in range(max(port, 7070) + 1, 65536) if not port_fault(other)), 7071)
        raise Trouble(fault, f"end what uses it, or choose another: --port {free}")
