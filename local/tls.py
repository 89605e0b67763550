"""Owns the throw-away certificate authority of the embedded stack.

msal and the Key Vault SDK insist on https, so the stack's services have certificates that only this run trusts.
Nothing is installed in the machine's trust store; the authority's key never leaves the process.
"""

import ssl
from dataclasses import dataclass
from pathlib import Path

import trustme


@dataclass(frozen=True)
class LocalAuthority:
    """What a server (`context`) and its clients (`bundle`, a PEM file with the CA's certificate) need."""

    bundle: Path
    context: ssl.SSLContext


def make_authority(folder: Path) -> LocalAuthority:
    """A new authority with one certificate for `localhost`, 127.0.0.1 and ::1; `folder` must exist."""
    authority = trustme.CA()
    bundle = folder / "ca.pem"
    authority.cert_pem.write_to_path(bundle)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost", "127.0.0.1", "::1").configure_cert(context)
    return LocalAuthority(bundle=bundle, context=context)
