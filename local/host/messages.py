"""Owns the messages that host and worker exchange: plain Python classes in place of protobuf's.

Names as in azure-functions-language-worker-protobuf, FunctionRpc.proto. The worker probes messages for names
that they don't have, so an unknown one must raise AttributeError.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

LAX, STRICT, NONE = 1, 2, 3  # RpcHttpCookie.SameSite; 0 is "not said"


class Message(SimpleNamespace):
    """Any message whose fields the worker sets itself."""


class TypedData(Message):
    """oneof `data`: the one field that is given. Method names are protobuf's."""

    def WhichOneof(self, _: str) -> str | None:
        return next(iter(vars(self)), None)


class StatusResult(Message):
    Failure = 0
    Success = 1


class BindingInfo(Message):
    """The worker compares `direction` with these; the SDK's bindings give the same numbers."""

    in_ = 0
    out = 1
    inout = 2


class RpcHttpCookie(Message):
    SameSite = SimpleNamespace(**{"None": 0, "Lax": LAX, "Strict": STRICT, "ExplicitNone": NONE})


PROTOS = SimpleNamespace(
    TypedData=TypedData,
    StatusResult=StatusResult,
    BindingInfo=BindingInfo,
    RpcHttpCookie=RpcHttpCookie,
    **{
        name: type(name, (Message,), {})
        for name in (
            "FunctionLoadResponse",
            "FunctionMetadataResponse",
            "InvocationResponse",
            "NullableBool",
            "NullableDouble",
            "NullableString",
            "NullableTimestamp",
            "ParameterBinding",
            "RpcException",
            "RpcFunctionMetadata",
            "RpcHttp",
            "RpcRetryOptions",
            "Timestamp",
            "WorkerInitResponse",
            "WorkerMetadata",
        )
    },
)


@dataclass(slots=True, kw_only=True)
class HttpCall:
    """RpcHttp on its way in. Headers in lower case, `url` whole, `query` and `params` decoded."""

    method: str
    url: str
    headers: Mapping[str, str]
    query: Mapping[str, str]
    params: Mapping[str, str]
    body: TypedData


@dataclass(slots=True)
class Input:
    """ParameterBinding on its way in: oneof `rpc_data`, here always `data`."""

    name: str
    data: TypedData

    def WhichOneof(self, _: str) -> str:
        return "data"


@dataclass(slots=True)
class Envelope:
    """What every function of the worker takes: `.request.<kind>` and `.properties`."""

    request: Any
    properties: Mapping[str, Any]
