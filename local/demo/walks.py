"""Owns the list of walks, in order, and what each row of the requirements asks."""

from collections.abc import Sequence

from local.demo import (
    account_kinds,
    errors_shown,
    main_job,
    notes,
    operator_jobs,
    permissions,
    reconnecting,
    renewal,
    signing_out,
    token_flow,
)
from local.demo.visit import Walk

ROWS = {
    "R-01": "an app registration with client id and credential",
    "R-02": "personal accounts sign in",
    "R-03": "work and school accounts sign in, of one tenant or of any",
    "R-04": "code flow with offline access",
    "R-05": "token flow, opt-in",
    "R-06": "the consumer scopes' old names",
    "R-07": "the enterprise scopes' names",
    "R-08": "least permission, several at once, more later",
    "R-09": "OneNote requests carry the token",
    "R-10": "expiry checked, 401 answered by a fresh token",
    "R-11": "renewed and stored for the longest life",
    "R-12": "sign out, step by step",
    "R-13": "revoked: repeat the flow",
    "R-14": "errors for people, consent refused",
    "R-15": "no licence, no site yet: in plain words",
    "R-16": "tokens kept like passwords",
    "R-17": "the same endpoints serve any client in a few calls",
    "R-18": "jobs work while nobody is there",
}

MAIN_JOB: Sequence[Walk] = main_job.WALKS

WALKS: Sequence[Walk] = (
    *MAIN_JOB,
    *account_kinds.WALKS,
    *permissions.WALKS,
    *renewal.WALKS,
    *notes.WALKS,
    *signing_out.WALKS,
    *reconnecting.WALKS,
    *errors_shown.WALKS,
    *token_flow.WALKS,
    *operator_jobs.WALKS,
)
"""Every walk there is."""
