"""Owns plain words for what can go wrong on the way from a fresh clone to a running part: cause and mend.

Standard library only, Python 3.9 or later, as all of this folder.
"""

from __future__ import annotations

import re

from local.setup.places import ROOT

CAUSES = (  # pattern in the output of pip, venv, uv or the system; cause; mend
    (
        r"No space left|not enough space on the disk|quota exceeded|Errno 28\b|os error (28|112)\b",
        "the disk is full",
        "free about 500 MB and run this again",
    ),
    (
        r"Read-only file system|Permission ?denied|Access is denied|Errno (13|30)\b|os error (5|13|30)\b",
        f"a file or folder in {ROOT} cannot be written",
        "clone the project into a folder of your own, or end the program that uses .venv, and run this again",
    ),
    (
        r"ensurepip is (not available|disabled)|No module named '?(venv|ensurepip)\b",
        "this Python has no working venv module",
        "install it (Debian, Ubuntu: sudo apt install python3.13-venv) and run this again",
    ),
    (
        r"CERTIFICATE_VERIFY_FAILED|certificate verify failed|invalid peer certificate",
        "the package index shows a certificate that this machine does not trust",
        "behind a company proxy set PIP_CERT (uv: SSL_CERT_FILE) to the company's root certificates",
    ),
    (
        r"ProxyError|Tunnel connection failed|407 Proxy|Cannot connect to proxy",
        "the proxy refuses the connection to the package index",
        "check HTTPS_PROXY (with user name and password where the proxy wants them) and run this again",
    ),
    (
        r"name resolution|NameResolutionError|getaddrinfo failed|nodename nor servname|NewConnectionError"
        r"|timed out|Network is unreachable|No route to host|Connection (refused|reset)|dns error"
        r"|error sending request",
        "the network does not lead to where packages come from",
        "check it; behind a company proxy set HTTPS_PROXY, with a package index of your own PIP_INDEX_URL",
    ),
    (
        r"No matching distribution found|Could not find a version|no version of .* satisfies",
        "the package index lacks a version that the project needs",
        "let your own index (see: pip config list) mirror that version, or use the public one",
    ),
    (
        r"No module named '?pip\b",
        "this Python has no pip",
        "install it (Debian, Ubuntu: sudo apt install python3-pip) and run this again",
    ),
)


class Trouble(Exception):
    """Something a person can mend: one sentence, and the mend."""

    def __init__(self, sentence: str, mend: str) -> None:
        super().__init__(sentence)
        self.sentence, self.mend = sentence, mend


def explain(doing: str, output: str) -> Trouble:
    """Why something failed, by what it printed; of an unknown cause the end of that is shown."""
    for pattern, cause, mend in CAUSES:
        if re.search(pattern, output, re.IGNORECASE):
            return Trouble(f"{doing} failed: {cause}", mend)
    tail = "".join(f"\n    {line}" for line in output.splitlines()[-12:])
    return Trouble(f"{doing} failed; it printed{tail or ' nothing'}", "remove .venv and run this again")
