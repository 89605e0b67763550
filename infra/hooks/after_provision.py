"""After azd has made the resources: tells the app registration of them, or says exactly what is left to do.

Ends with 1 where the registration was made here and could not be brought up to date: nobody could sign in.
"""

from __future__ import annotations

import sys

import registration
from tools import Deployment, ToolFailed, missing, read, run


def main() -> int:
    deployment = read()
    unknown = missing(
        AUTH_CLIENT_ID=deployment.client_id,
        REDIRECT_URI=deployment.redirect_uri,
        FRONTCHANNEL_LOGOUT_URL=deployment.logout_url,
        IDENTITY_PRINCIPAL_ID=deployment.identity_principal_id,
    )
    if unknown:
        print(f"Not known: {unknown}. Run `azd provision` first, which gives it.")
        return 1
    if not deployment.made_here:
        print(registration.by_hand_after(deployment))
    else:
        try:
            registration.make(deployment)
        except ToolFailed as failed:
            print(f"The app registration could not be brought up to date. Azure says:\n{failed}")
            print(registration.by_hand_after(deployment))
            print("To do it by hand from now on: azd env set AUTH_REGISTRATION_MADE false")
            return 1
        print(f"App registration: {deployment.client_id} knows its addresses" + _and_identity(deployment))
    if deployment.stored != "none" and not _is_stored(deployment):
        print(registration.stored_credential(deployment))
    return 0


def _and_identity(deployment: Deployment) -> str:
    if not (deployment.federated and deployment.work):
        return "."
    return " and trusts the app's identity. Microsoft takes some minutes to spread that."


def _is_stored(deployment: Deployment) -> bool:
    """By the list of names: no value is read. Where the list can't be had, the step is told once too often."""
    try:
        names = run(
            "az",
            "keyvault",
            "secret",
            "list",
            "--vault-name",
            deployment.operator_vault,
            "--query",
            "[].name",
            "--output",
            "tsv",
        )
    except ToolFailed:
        return False
    return f"auth-client-{deployment.stored}" in names.split()


if __name__ == "__main__":
    sys.exit(main())
