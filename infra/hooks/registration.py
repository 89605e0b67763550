"""Owns the app registration as the hooks see it: how it is made, and what a person does where it can't be."""

from __future__ import annotations

import re
from pathlib import Path

from tools import Deployment, Value, deploy

TEMPLATE = Path(__file__).resolve().parents[1] / "registration" / "main.bicep"
_AUDIENCES = {
    "common": "any organizational directory and personal Microsoft accounts",
    "organizations": "any organizational directory",
    "consumers": "personal Microsoft accounts only",
}
_KNOWN = (
    "Notes.Create",
    "Notes.Read",
    "Notes.ReadWrite",
    "Notes.Read.All",
    "Notes.ReadWrite.All",
    "User.Read",
    "email",
)
_SIGNING_IN = ("openid", "profile", "offline_access")


def permissions(scopes: str) -> list[str]:
    """Of AUTH_SCOPES what the template knows, besides signing in. Others are asked for at sign-in all the same."""
    named = {word.rsplit("/", 1)[-1].lower() for word in re.split(r"[\s,+]+", scopes)}
    return [name for name in _KNOWN if name.lower() in named] or ["Notes.Read"]


def make(deployment: Deployment) -> str:
    """Make it or bring it up to date, with what is known by now; its client id. Raises ToolFailed."""
    parameters: dict[str, Value] = {
        "environmentName": deployment.environment,
        "signInTenant": deployment.tenant,
        "permissions": permissions(deployment.scopes),
        "redirectUri": deployment.redirect_uri,
        "logoutUrl": deployment.logout_url,
        "identityPrincipalId": deployment.identity_principal_id if deployment.federated and deployment.work else "",
        "allowTokenFlow": deployment.token_flow,
    }
    return deploy(deployment, TEMPLATE, parameters).get("AUTH_CLIENT_ID", "")


def by_hand_before(deployment: Deployment) -> str:
    audience = _AUDIENCES.get(deployment.tenant, "this organizational directory only")
    asked = ", ".join([*_SIGNING_IN, *permissions(deployment.scopes)])
    return f"""
Make the app registration by hand, or let somebody make it who may. In the Entra admin center, https://entra.microsoft.com:

  App registrations, New registration
      Supported account types   {audience}
      Redirect URI              leave it empty, it is known only afterwards
  API permissions, Add a permission, Microsoft Graph, Delegated permissions
      {asked}
  Token configuration, Add optional claim, ID
      sid, login_hint

Then, with its application (client) id:

  azd env set AUTH_CLIENT_ID <application (client) id>
  azd up
"""


def by_hand_after(deployment: Deployment) -> str:
    text = f"""
Left to do in the app registration {deployment.client_id}, in the Entra admin center, https://entra.microsoft.com:

  Authentication, Add a platform, Web
      Redirect URI              {deployment.redirect_uri}
      Front-channel logout URL  {deployment.logout_url}
"""
    if deployment.federated and deployment.work:
        text += f"""  Certificates & secrets, Federated credentials, Add credential, Other issuer
      Issuer                    https://login.microsoftonline.com/{deployment.azure_tenant}/v2.0
      Type                      explicit subject identifier
      Value                     {deployment.identity_principal_id}
      Name                      function-app
      Audience                  api://AzureADTokenExchange
"""
    if deployment.token_flow:
        text += """  Authentication, Implicit grant and hybrid flows
      access tokens and ID tokens
"""
    return text


def stored_credential(deployment: Deployment) -> str:
    """How the credential gets into the operator's vault without being shown or kept anywhere else."""
    app, vault = deployment.client_id, deployment.operator_vault
    if deployment.stored == "certificate":
        steps = f"""  openssl req -x509 -newkey rsa:3072 -nodes -days 365 -subj /CN=onenote-auth -keyout key.pem -out certificate.pem &&
  az ad app credential reset --id {app} --append --cert @certificate.pem --output none &&
  cat key.pem certificate.pem > both.pem &&
  az keyvault secret set --vault-name {vault} --name auth-client-certificate --file both.pem --output none
  rm -f key.pem both.pem certificate.pem"""
    else:
        steps = f"""  secret=$(az ad app credential reset --id {app} --append --display-name onenote-auth --query password --output tsv) &&
  az keyvault secret set --vault-name {vault} --name auth-client-secret --value "$secret" --output none
  unset secret"""
    whom = "personal accounts" if deployment.federated and deployment.work else "everybody"
    return f"""
Left to do: the credential for {whom}, in the operator's vault. It runs out in a year; the log says so when it has. In a POSIX shell:
{_opened(vault) if deployment.private_network else ""}
  az keyvault secret list --vault-name {vault} --output none &&
{steps}

Its first line asks whether you may, so that no refused try leaves a credential behind: the role takes some minutes to spread.
{_closed(vault) if deployment.private_network else ""}"""


def _opened(vault: str) -> str:
    return f"""
The vault answers its private network alone. Run all of this on a machine there, or let others in for so long:

  az keyvault update --name {vault} --public-network-access Enabled --default-action Allow --output none
"""


def _closed(vault: str) -> str:
    return f"""Then shut it again:

  az keyvault update --name {vault} --public-network-access Disabled --default-action Deny --output none
"""
