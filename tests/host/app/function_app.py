"""An app for the tests of the host, laid out as the product is: blueprints registered on one FunctionApp."""

import os

import azure.functions as func
from bp import blueprint  # type: ignore[import-not-found]  # the host puts this folder on the path

app = func.FunctionApp(http_auth_level=func.AuthLevel.FUNCTION)
app.register_functions(blueprint)


def startup_problems() -> list[str]:
    """What a test wants it to find."""
    return [line for line in os.environ.get("TEST_PROBLEMS", "").split("|") if line]
