"""The embedded identity provider: v2.0 endpoints like the Microsoft identity platform's, with made-up users.

For development and tests only. It is strict where an app could be wrong and has switches (`Behaviour`,
`IdentityProvider.refuse`) where real providers differ.
"""

from local.identity_provider.core import Behaviour, Stage
from local.identity_provider.grants import AccessToken
from local.identity_provider.provider import IdentityProvider
from local.identity_provider.users import CONTOSO_TENANT, FABRIKAM_TENANT, PERSONAL_TENANT, USERS, User

__all__ = [
    "CONTOSO_TENANT",
    "FABRIKAM_TENANT",
    "PERSONAL_TENANT",
    "USERS",
    "AccessToken",
    "Behaviour",
    "IdentityProvider",
    "Stage",
    "User",
]
