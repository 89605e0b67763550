"""What tests of several folders share: a throw-away authority, and randomness that can be had again."""

import os
import random

import pytest

from local.tls import LocalAuthority, make_authority

_SEED = int(os.environ.get("ONENOTE_AUTH_SEED") or random.SystemRandom().randrange(2**32))


@pytest.fixture
def seed() -> int:
    """Shown on failure; set ONENOTE_AUTH_SEED to see it again."""
    print(f"ONENOTE_AUTH_SEED={_SEED}")
    return _SEED


@pytest.fixture
def rng(seed: int) -> random.Random:
    return random.Random(seed)


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> LocalAuthority:
    """What the embedded services' https is signed by."""
    return make_authority(tmp_path_factory.mktemp("authority"))
