"""Composes settings, adapters, use cases and functions. Azure Functions loads this module.

Nothing here can fail on a wrong setting: an exception at import would turn every route into 404 in Azure. The
functions load, answer 503 `misconfigured`, and the findings go to the log and to /api/ops/health.
"""

import azure.functions as func

from shared import settings
from shared.compose import Composition
from shared.functions import auth, graph, ops, reference, sessions, timer

composition = Composition()
app = func.FunctionApp(http_auth_level=func.AuthLevel.FUNCTION)
for blueprint in (
    auth.blueprint(composition.parts),
    sessions.blueprint(composition.parts),
    graph.blueprint(composition.parts),
    ops.blueprint(composition.parts),
    reference.blueprint(),
    timer.blueprint(composition.parts, settings.schedule()),
):
    app.register_functions(blueprint)


def startup_problems() -> tuple[str, ...]:
    """What is wrong with the settings, for a host that would rather not start."""
    return composition.problems
