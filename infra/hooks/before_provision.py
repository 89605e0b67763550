"""Before azd makes the resources: an app registration, where there is none yet and whoever deploys may make one.

Ends with 1 where a person has to act first, after saying what to do: without a client id nothing can be deployed.
"""

from __future__ import annotations

import sys

import registration
from tools import Deployment, ToolFailed, missing, read, run


def main() -> int:
    deployment = read()
    if deployment.client_id:
        print(f"App registration: {deployment.client_id}, as in AUTH_CLIENT_ID.")
        return 0
    unknown = missing(
        AZURE_ENV_NAME=deployment.environment,
        AZURE_SUBSCRIPTION_ID=deployment.subscription,
        AZURE_LOCATION=deployment.location,
    )
    if unknown:
        print(f"Not known yet: {unknown}. Run `azd up`, which asks for it, or `azd env set NAME VALUE`.")
        return 1
    if not deployment.public_cloud:
        return _by_hand(deployment, "Registrations can be made by a template in the public cloud only.")
    try:
        run("az", "account", "show", "--subscription", deployment.subscription, "--output", "none")
    except ToolFailed as failed:
        reason = f"The Azure CLI can't use the subscription: {failed}\nRun `az login`, then `azd up` again. Or:"
        return _by_hand(deployment, reason)
    print("App registration: making one ...")
    try:
        client_id = registration.make(deployment)
    except ToolFailed as failed:
        return _by_hand(deployment, f"It could not be made. Azure says:\n{failed}")
    if not client_id:
        return _by_hand(deployment, "It was made, and Azure did not say its id: look for it in App registrations.")
    try:
        run("azd", "env", "set", "AUTH_CLIENT_ID", client_id)
        run("azd", "env", "set", "AUTH_REGISTRATION_MADE", "true")
    except ToolFailed as failed:
        print(f"App registration: {client_id}, but azd can't remember it: {failed}")
        return 1
    print(f"App registration: {client_id}, kept in azd's environment as AUTH_CLIENT_ID.")
    print("Should azd say now that AUTH_CLIENT_ID is missing, it is an old one: run the same command again.")
    return 0


def _by_hand(deployment: Deployment, reason: str) -> int:
    print(reason)
    print(registration.by_hand_before(deployment))
    return 1


if __name__ == "__main__":
    sys.exit(main())
