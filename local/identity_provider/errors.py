"""Owns the shape of the provider's errors: OAuth error, AADSTS code, text, and how the two endpoints show them.

Codes and texts follow "Microsoft Entra authentication and authorization error codes". No text holds a value
that was sent, save names that are public anyway (client id, redirect URI, scope, username).
"""

import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime

_STATUS = {"invalid_client": 401, "temporarily_unavailable": 503, "server_error": 500}


@dataclass(eq=False)
class ProviderError(Exception):
    """A refusal. `codes` are the AADSTS numbers, the first of them leads the description."""

    error: str
    codes: tuple[int, ...]
    text: str
    suberror: str | None = None
    claims: str | None = None
    fields: Mapping[str, str] = field(default_factory=dict)

    @property
    def status(self) -> int:
        return _STATUS.get(self.error, 400)

    def description(self, trace_id: str, correlation_id: str, at: str) -> str:
        code = f"AADSTS{self.codes[0]}: " if self.codes else ""
        # The line breaks are Microsoft's ("Microsoft Entra authentication and authorization error codes").
        return f"{code}{self.text}\r\nTrace ID: {trace_id}\r\nCorrelation ID: {correlation_id}\r\nTimestamp: {at}"

    def as_json(self, correlation_id: str | None = None) -> dict[str, object]:
        """The body of a refusal by a back-channel endpoint."""
        trace, correlation, at = str(uuid.uuid4()), correlation_id or str(uuid.uuid4()), _timestamp()
        body: dict[str, object] = {
            "error": self.error,
            "error_description": self.description(trace, correlation, at),
            "error_codes": list(self.codes),
            "timestamp": at,
            "trace_id": trace,
            "correlation_id": correlation,
        }
        if self.suberror is not None:
            body["suberror"] = self.suberror
        if self.claims is not None:
            body["claims"] = self.claims
        return body

    def as_answer(self) -> dict[str, str]:
        """The parameters of an authorization answer (RFC 6749 §4.1.2.1)."""
        text = self.description(str(uuid.uuid4()), str(uuid.uuid4()), _timestamp())
        return {"error": self.error, "error_description": text, **self.fields}


def malformed(text: str = "Request is malformed or invalid.") -> ProviderError:
    return ProviderError("invalid_request", (9002313,), f"Invalid request. {text}")


def missing(name: str) -> ProviderError:
    return ProviderError(
        "invalid_request", (900144,), f"The request body must contain the following parameter: '{name}'."
    )


def unknown_tenant(segment: str) -> ProviderError:
    return ProviderError("invalid_tenant", (90002,), f"Tenant '{segment[:64]}' not found.")


def unknown_client(client_id: str) -> ProviderError:
    text = f"Application with identifier '{client_id[:64]}' was not found in the directory."
    return ProviderError("unauthorized_client", (700016,), text)


def consent_missing() -> ProviderError:
    text = "The user or administrator has not consented to use the application. Send an interactive request."
    return ProviderError("invalid_grant", (65001,), text, suberror="consent_required")


def _timestamp() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%d %H:%M:%SZ")
