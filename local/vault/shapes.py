"""Owns a vault's secrets as JSON: what a request may say, with its limits, and what an answer says. Pure.

Shapes: "Azure Key Vault REST API reference" (SecretSetParameters, SecretBundle, SecretItem, DeletedSecretBundle);
limits: "About Azure Key Vault secrets".
"""

from typing import Any

from local.vault.secret_store import Secret, VaultError, Version

Json = dict[str, Any]

VALUE_BYTES_MAX = 25_000  # documented as 25 KB: the smaller reading, so that what fits here fits there
TAGS_MAX = 15
TAG_CHARS_MAX = 256  # newer pages say 512
CONTENT_TYPE_CHARS_MAX = 255

_RETENTION_DAYS = 90
_UPDATABLE = ("enabled", "exp", "nbf")


def bad_parameter(message: str) -> VaultError:
    return VaultError(400, "BadParameter", message)


def value_of(body: Json) -> str:
    value = body.get("value")
    if not isinstance(value, str):
        raise bad_parameter("Property value is required.")
    if len(value.encode("utf-8", "surrogatepass")) > VALUE_BYTES_MAX:
        raise bad_parameter("The value of the secret is longer than 25 KB.")
    return value


def tags_of(body: Json) -> dict[str, str] | None:
    tags = body.get("tags")
    if tags is None:
        return None
    if not isinstance(tags, dict) or not all(isinstance(value, str) for value in tags.values()):
        raise bad_parameter("Tags are an object of strings.")
    if len(tags) > TAGS_MAX:
        raise bad_parameter(f"A secret has at most {TAGS_MAX} tags.")
    if any(len(text) > TAG_CHARS_MAX for pair in tags.items() for text in pair):
        raise bad_parameter(f"A tag's name and value have at most {TAG_CHARS_MAX} characters.")
    return tags


def content_type_of(body: Json) -> str | None:
    content_type = body.get("contentType")
    if content_type is not None and (not isinstance(content_type, str) or len(content_type) > CONTENT_TYPE_CHARS_MAX):
        raise bad_parameter(f"contentType is a string of at most {CONTENT_TYPE_CHARS_MAX} characters.")
    return content_type


def attributes_of(body: Json) -> Json:
    """Those that a caller may set and did set."""
    attributes = body.get("attributes")
    if attributes is None:
        return {}
    if not isinstance(attributes, dict):
        raise bad_parameter("attributes is an object.")
    given = {name: attributes[name] for name in _UPDATABLE if attributes.get(name) is not None}
    if not all(isinstance(value, bool if name == "enabled" else int) for name, value in given.items()):
        raise bad_parameter("enabled is true or false, exp and nbf are seconds since 1970.")
    return given


def item(url: str, secret: Secret) -> Json:
    """As listings show it: the current version's properties, but not which version that is."""
    return {**bundle(url, secret, secret.current), "id": f"{url}/secrets/{secret.name}"}


def bundle(url: str, secret: Secret, version: Version) -> Json:
    """A version without its value; `url` is the vault's."""
    attributes: Json = {
        "enabled": version.enabled,
        "exp": version.exp,
        "nbf": version.nbf,
        "created": version.created,
        "updated": version.updated,
        "recoveryLevel": "Recoverable+Purgeable",
        "recoverableDays": _RETENTION_DAYS,
    }
    shown: Json = {
        "id": f"{url}/secrets/{secret.name}/{version.id}",
        "attributes": {name: value for name, value in attributes.items() if value is not None},
        "tags": dict(version.tags),
    }
    if version.content_type is not None:
        shown["contentType"] = version.content_type
    return shown


def deleted_bundle(url: str, secret: Secret) -> Json:
    return {
        **bundle(url, secret, secret.current),
        "recoveryId": f"{url}/deletedsecrets/{secret.name}",
        "deletedDate": secret.deleted,
        "scheduledPurgeDate": secret.deleted + _RETENTION_DAYS * 86_400,
    }


def deleted_item(url: str, secret: Secret) -> Json:
    return {**deleted_bundle(url, secret), "id": f"{url}/secrets/{secret.name}"}
