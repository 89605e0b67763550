"""Randomness with a seed that is printed when a test fails."""

import random

import pytest

_SEED = random.SystemRandom().randrange(2**32)


@pytest.fixture
def rng() -> random.Random:
    print(f"seed: {_SEED}")
    return random.Random(_SEED)
