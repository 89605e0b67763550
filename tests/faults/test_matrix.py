"""The fault matrix is whole: each service, each trouble and each step is walked, or a reason says why not."""

from itertools import product

from tests.faults import test_refresh, test_sign_in, test_sign_out, test_sweep
from tests.faults.matrix import SENSELESS, TROUBLES, cases, senseless

STEPS = (*test_sign_in.STEPS, *test_refresh.STEPS, *test_sweep.STEPS, *test_sign_out.STEPS)


def test_every_step_meets_every_trouble_or_a_reason_says_why_not() -> None:
    reasons = [senseless(step, trouble) for step, trouble in product(STEPS, TROUBLES)]
    assert {reason for reason in reasons if reason} == set(SENSELESS)
    assert len(list(cases(STEPS))) == reasons.count(None)


def test_every_service_is_disturbed_in_every_phase_that_asks_it() -> None:
    asked = {
        "sign-in": ({step.service for step in test_sign_in.STEPS}, {"vault", "provider", "identity"}),
        "refresh": ({step.service for step in test_refresh.STEPS}, {"vault", "provider", "identity", "graph"}),
        "sweep": ({step.service for step in test_sweep.STEPS}, {"vault", "provider", "identity"}),
        "sign-out": ({step.service for step in test_sign_out.STEPS}, {"vault", "provider", "identity"}),
    }
    for phase, (found, wanted) in asked.items():
        assert found == wanted, phase


def test_every_step_has_a_name_of_its_own() -> None:
    names = [step.name for step in STEPS]
    assert len(set(names)) == len(names)
