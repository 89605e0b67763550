"""Owns the Python worker: the package azure-functions-runtime, driven in this process without gRPC.

It is the very worker that runs in Azure for Python 3.13 and later. One app a process: the package keeps the
functions in module variables, and a FunctionApp can be indexed once.
"""

import asyncio
import contextlib
import logging
import os
import sys
import time
import uuid
from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from local.host.errors import FunctionFailed, HostError
from local.host.functions import Function, read_function
from local.host.messages import PROTOS, Envelope, Input, StatusResult, TypedData

log = logging.getLogger("local.host")

# The worker says a line for each call and azure.core four, at INFO: the host's own line is enough.
_TALKATIVE = ("azure.functions", "azure.core")
_NO_RETRY = SimpleNamespace(retry_count=0, max_retry_count=0, exception=None)
_NOTHING: Mapping[str, Any] = {}


class Worker:
    """The app's functions and their invocation. `running` counts the invocations under way."""

    def __init__(self, app_dir: Path) -> None:
        self._app_dir = app_dir
        self.running = 0
        self._idle = asyncio.Event()

    async def load(self) -> dict[str, Function]:
        """Import `function_app` and index it. Raises HostError; the traceback goes to the log."""
        if not (self._app_dir / "function_app.py").is_file():
            raise HostError(f"There is no function_app.py in {self._app_dir}.")
        sys.path.insert(0, str(self._app_dir))
        import azure_functions_runtime as runtime

        for name in _TALKATIVE:
            logging.getLogger(name).setLevel(logging.WARNING)
        self._runtime = runtime
        runtime.start_threadpool_executor()  # for functions that are not async
        directory = SimpleNamespace(capabilities={}, function_app_directory=str(self._app_dir))
        request = Envelope(SimpleNamespace(worker_init_request=directory), {"host": "127.0.0.1", "protos": PROTOS})
        answer = await runtime.worker_init_request(request)  # never raises
        if answer.result.status != StatusResult.Success:
            log.error("function_app does not load\n%s", answer.result.exception.stack_trace)
            raise HostError(f"function_app does not load: {answer.result.exception.message}")
        metadata = await runtime.functions_metadata_request(request)
        functions = {}
        for found in metadata.function_metadata_results or ():
            function = read_function(found.name, found.function_id, found.raw_bindings, os.environ)
            functions[function.name] = function
            load = SimpleNamespace(function_load_request=SimpleNamespace(function_id=function.id))
            await runtime.function_load_request(Envelope(load, _NOTHING))
        return functions

    async def invoke(self, function: Function, data: TypedData, *, trace_parent: str = "") -> Any:
        """Run a function; what it returned, as TypedData, or None. Raises FunctionFailed.

        Text and traceback of an exception go to the log and nowhere else.
        """
        invocation_id = str(uuid.uuid4())
        start = time.perf_counter()
        self.running += 1
        try:
            answer = await self._runtime.invocation_request(
                Envelope(
                    SimpleNamespace(
                        invocation_request=SimpleNamespace(
                            invocation_id=invocation_id,
                            function_id=function.id,
                            input_data=(Input(function.argument, data),),
                            trigger_metadata=_NOTHING,
                            trace_context=SimpleNamespace(trace_parent=trace_parent, trace_state="", attributes={}),
                            retry_context=_NO_RETRY,
                        )
                    ),
                    _NOTHING,
                )
            )
        finally:
            self.running -= 1
            if not self.running:
                self._idle.set()
        duration_ms = (time.perf_counter() - start) * 1000
        if answer.result.status != StatusResult.Success:
            log.error(
                "Executed %s (Failed, Id=%s, Duration=%.0fms)\n%s",
                function.name,
                invocation_id,
                duration_ms,
                answer.result.exception.stack_trace,
            )
            raise FunctionFailed(function.name)
        log.info("Executed %s (Succeeded, Id=%s, Duration=%.0fms)", function.name, invocation_id, duration_ms)
        return answer.return_value

    async def wait_idle(self, limit_s: float) -> bool:
        """Wait until nothing runs, `limit_s` at most. Whether it came to that."""
        if self.running:
            self._idle.clear()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._idle.wait(), limit_s)
        return not self.running

    def close(self) -> None:
        """End the threads; waits for one that works."""
        self._runtime.stop_threadpool_executor()
