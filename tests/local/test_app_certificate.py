"""The certificate that the embedded provider knows the app by: it takes what the app signed, and nothing else."""

import time
from collections.abc import Mapping
from typing import Any

import jwt
import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from local.app_certificate import AppCertificate, make_certificate
from shared.adapters.certificate import CertificateAssertion

APP = "5e3ce6c0-2b1f-4448-8285-4b75aa91e6d9"
PROVIDER = "https://localhost:8443"
ENDPOINT = f"{PROVIDER}/consumers/oauth2/v2.0/token"


@pytest.fixture(scope="module")
def pem() -> str:
    return make_certificate()


@pytest.fixture(scope="module")
def known(pem: str) -> AppCertificate:
    return AppCertificate(pem, client_id=APP, provider_url=PROVIDER)


def test_the_bundles_own_assertion_is_taken(pem: str, known: AppCertificate) -> None:
    """R-01: signed as the product signs it."""
    assert known.accepts(CertificateAssertion.from_pem(pem, APP)({"token_endpoint": ENDPOINT}))


def test_another_certificate_is_not_taken(known: AppCertificate) -> None:
    """R-01."""
    assert not known.accepts(CertificateAssertion.from_pem(make_certificate(), APP)({"token_endpoint": ENDPOINT}))


@pytest.mark.parametrize(
    "changed",
    [
        {"aud": "https://elsewhere.example/consumers/oauth2/v2.0/token"},
        {"aud": f"{PROVIDER}/consumers/oauth2/v2.0/authorize"},
        {"iss": "somebody-else"},
        {"sub": "somebody-else"},
        {"exp": int(time.time()) - 60},
        {"exp": int(time.time()) + 10 * 86_400},
        {"nbf": int(time.time()) + 600},
        {"jti": None},
    ],
)
def test_claims_that_are_wrong_are_not_taken(pem: str, known: AppCertificate, changed: Mapping[str, Any]) -> None:
    """RFC 7523 §3."""
    own = CertificateAssertion.from_pem(pem, APP)
    now = int(time.time())
    right = {"aud": ENDPOINT, "iss": APP, "sub": APP, "jti": "1", "nbf": now, "iat": now, "exp": now + 600}
    claims = {name: value for name, value in {**right, **changed}.items() if value is not None}
    assert not known.accepts(jwt.encode(claims, own.key, algorithm="PS256", headers=own.headers))
    assert known.accepts(jwt.encode(right, own.key, algorithm="PS256", headers=own.headers))
    assert not known.accepts(jwt.encode(right, own.key, algorithm="PS256", headers={"x5t#S256": "another"}))


def test_what_is_made_is_a_key_and_its_certificate(pem: str) -> None:
    certificate = x509.load_pem_x509_certificate(pem.encode())
    assert load_pem_private_key(pem.encode(), None).public_key() == certificate.public_key()


@pytest.mark.parametrize("pem", ["", "https://vault.example/secrets/certificate", "-----BEGIN CERTIFICATE-----\nx\n"])
def test_what_is_no_certificate_is_refused(pem: str) -> None:
    with pytest.raises(ValueError):
        AppCertificate(pem, client_id=APP, provider_url=PROVIDER)
