"""Owns the app settings: the only reader of the environment. Everything is checked together, once.

Every fault is named with its mend, all of them in one `Misconfigured`. Secrets never show in a repr (R-16).
"""

import hashlib
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from shared import scopes
from shared.errors import Misconfigured
from shared.model import PERSONAL_TENANT
from shared.origins import origin_of, same_site
from shared.setting_values import Reader

PUBLIC_CLOUD_AUTHORITY = "https://login.microsoftonline.com"
MICROSOFT_CLOUDS = {
    # authority host: Graph host ("National cloud deployments", Microsoft Graph)
    PUBLIC_CLOUD_AUTHORITY: ("https://graph.microsoft.com",),
    "https://login.microsoftonline.us": ("https://graph.microsoft.us", "https://dod-graph.microsoft.us"),
    "https://login.partner.microsoftonline.cn": ("https://microsoftgraph.chinacloudapi.cn",),
    "https://login.chinacloudapi.cn": ("https://microsoftgraph.chinacloudapi.cn",),
}
DEFAULT_SCHEDULE = "0 */5 * * * *"
_TENANT = re.compile(r"[A-Za-z0-9][A-Za-z0-9.-]{0,99}")
_VAULT_LABEL = re.compile(r"[a-z0-9][a-z0-9-]{0,23}")
_SECRET_ADDRESS = re.compile(r"https://[^/\s]+/secrets/[0-9A-Za-z-]+(/[0-9a-fA-F]{32})?/?")


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """The settings of `README.md`, section Settings, parsed. Lifetimes keep the unit of their name."""

    client_id: str
    client_secret: str | None = field(repr=False)
    client_certificate: str | None = field(repr=False)
    managed_identity_client_id: str | None
    authority_host: str
    tenant: str
    default_scopes: tuple[str, ...]
    allowed_scopes: tuple[str, ...]
    allow_token_flow: bool
    expose_access_token: bool
    operator_tokens: bool
    graph_base_url: str
    graph_body_max_bytes: int
    vaults: tuple[tuple[str, str], ...]
    public_base_url: str
    frontend_origins: tuple[str, ...]
    origins: tuple[str, ...]
    """May call and be returned to; the public one is always first."""
    default_return_url: str
    session_idle_days: float
    session_max_days: float
    keep_alive_hours: float
    session_cache_seconds: float
    ca_bundle: str | None
    azure_client_id: str | None
    identity_endpoint: str | None
    identity_header: str | None = field(repr=False)

    @property
    def redirect_uri(self) -> str:
        return self.public_base_url + "/api/auth/callback"

    @property
    def microsoft_cloud(self) -> bool:
        return self.authority_host in MICROSOFT_CLOUDS

    @property
    def scope_prefix(self) -> str:
        """Put before a Graph permission's name; empty where the short name means this Graph anyway."""
        if self.microsoft_cloud and self.authority_host != PUBLIC_CLOUD_AUTHORITY:
            return self.graph_base_url + "/"
        return ""

    @property
    def cross_site(self) -> bool:
        """Whether a front end lies on another site than the public host, so that Lax cookies would stay at home."""
        return bool(self.elsewhere)

    @property
    def elsewhere(self) -> tuple[str, ...]:
        """The front ends' origins on another site than the public host."""
        return tuple(origin for origin in self.frontend_origins if not same_site(self.public_base_url, origin))


def read_settings(environ: Mapping[str, str] | None = None) -> Settings:
    """Read and check everything. Raises Misconfigured with every finding, never at import."""
    reader = Reader(os.environ if environ is None else environ)
    settings = _parse(reader)
    if reader.findings:
        raise Misconfigured(reader.findings)
    return settings


def schedule(environ: Mapping[str, str] | None = None) -> str:
    """The timer's NCRONTAB expression: needed for indexing, even when other settings are wrong."""
    value = (os.environ if environ is None else environ).get("REFRESH_SCHEDULE", "").strip()
    return value if len(value.split()) == 6 else DEFAULT_SCHEDULE


def _parse(reader: Reader) -> Settings:
    client_id = reader.required("AUTH_CLIENT_ID", "set it to the application (client) id of the app registration.")
    secret, certificate, identity = _credential(reader)
    authority_host = reader.url(
        "AUTH_AUTHORITY_HOST", reader.text("AUTH_AUTHORITY_HOST") or PUBLIC_CLOUD_AUTHORITY, https_only=True
    )
    tenant = (reader.text("AUTH_TENANT") or "common").lower()
    if tenant == PERSONAL_TENANT:
        tenant = "consumers"  # one name for one thing: grants are renewed there
    if not _TENANT.fullmatch(tenant):
        reader.findings.append("AUTH_TENANT must be common, organizations, consumers or a tenant id.")
    graph = _graph(reader, authority_host)
    base = reader.required("PUBLIC_BASE_URL", "set it to the address at which browsers see this app.")
    public_base_url = reader.url("PUBLIC_BASE_URL", base) if base else ""
    frontend_origins = _origins(reader)
    default_scopes = reader.scopes("AUTH_SCOPES", "Notes.Read")
    allowed_text = reader.text("AUTH_ALLOWED_SCOPES")
    allowed = reader.scopes("AUTH_ALLOWED_SCOPES", "") if allowed_text else scopes.ALLOWED
    above = [name for name in default_scopes if name != "email" and not scopes.covers(allowed, name)]
    if above:
        reader.findings.append(
            f"AUTH_SCOPES asks for {', '.join(above)}, which AUTH_ALLOWED_SCOPES leaves out: add it there or drop it here."
        )
    if tenant == "consumers" and (never := sorted(scopes.WORK_ONLY & set(default_scopes))):
        reader.findings.append(f"AUTH_SCOPES asks for {', '.join(never)}, which AUTH_TENANT=consumers can't give.")
    idle = reader.number("SESSION_IDLE_DAYS", 30, least=0.01, most=80)
    longest = reader.number("SESSION_MAX_DAYS", 180, least=0.01, most=3650)
    if idle > longest:
        reader.findings.append("SESSION_IDLE_DAYS is more than SESSION_MAX_DAYS: make it less or equal.")
    expression = reader.text("REFRESH_SCHEDULE")
    if expression and len(expression.split()) != 6:
        reader.findings.append("REFRESH_SCHEDULE needs six fields, seconds first, for example: 0 */5 * * * *")
    bundle = reader.text("CA_BUNDLE")
    if bundle and not os.path.isfile(bundle):
        reader.findings.append("CA_BUNDLE names no file: set it to a PEM file with the extra trust roots.")
    return Settings(
        client_id=client_id,
        client_secret=secret,
        client_certificate=certificate,
        managed_identity_client_id=identity,
        authority_host=authority_host,
        tenant=tenant,
        default_scopes=default_scopes,
        allowed_scopes=allowed,
        allow_token_flow=reader.flag("AUTH_ALLOW_TOKEN_FLOW"),
        expose_access_token=reader.flag("AUTH_EXPOSE_ACCESS_TOKEN"),
        operator_tokens=reader.flag("AUTH_OPERATOR_TOKENS"),
        graph_base_url=graph,
        # Above 100 MiB the platform's host answers by itself, with a bare 500.
        graph_body_max_bytes=int(reader.number("GRAPH_BODY_MAX_MB", 30, least=1, most=100) * (1 << 20)),
        vaults=_vaults(reader),
        public_base_url=public_base_url,
        frontend_origins=frontend_origins,
        origins=(origin_of(public_base_url), *frontend_origins) if public_base_url else frontend_origins,
        default_return_url=_default_return(reader, public_base_url, frontend_origins),
        session_idle_days=idle,
        session_max_days=longest,
        keep_alive_hours=reader.number("KEEP_ALIVE_HOURS", 24, least=0.1, most=720),
        session_cache_seconds=reader.number("SESSION_CACHE_SECONDS", 60, least=0, most=3600),
        ca_bundle=bundle,
        azure_client_id=reader.text("AZURE_CLIENT_ID"),
        identity_endpoint=reader.text("IDENTITY_ENDPOINT"),
        identity_header=reader.text("IDENTITY_HEADER"),
    )


def _credential(reader: Reader) -> tuple[str | None, str | None, str | None]:
    before = len(reader.findings)
    secret = reader.text("AUTH_CLIENT_SECRET")
    certificate = reader.text("AUTH_CLIENT_CERTIFICATE")
    identity = reader.text("AUTH_MANAGED_IDENTITY_CLIENT_ID")
    if secret and certificate:
        reader.findings.append("AUTH_CLIENT_SECRET and AUTH_CLIENT_CERTIFICATE are both set: keep one.")
    if not (secret or certificate or identity) and len(reader.findings) == before:
        reader.findings.append(
            "No credential: set one of AUTH_CLIENT_SECRET, AUTH_CLIENT_CERTIFICATE, AUTH_MANAGED_IDENTITY_CLIENT_ID."
        )
    if certificate and not is_secret_address(certificate) and "-----BEGIN" not in certificate:
        reader.findings.append(
            "AUTH_CLIENT_CERTIFICATE is neither PEM (private key and certificate) nor a secret's address: "
            "set it to one of the two."
        )
    return secret, certificate, identity


def is_secret_address(value: str) -> bool:
    """Whether a credential's setting is the address of a secret rather than the credential itself."""
    return _SECRET_ADDRESS.fullmatch(value) is not None


def _graph(reader: Reader, authority_host: str) -> str:
    hosts = MICROSOFT_CLOUDS.get(authority_host)
    configured = reader.text("GRAPH_BASE_URL")
    default = hosts[0] if hosts else MICROSOFT_CLOUDS[PUBLIC_CLOUD_AUTHORITY][0]
    graph = reader.url("GRAPH_BASE_URL", configured or default, https_only=True)
    every = {host for group in MICROSOFT_CLOUDS.values() for host in group}
    if hosts and graph in every and graph not in hosts:
        reader.findings.append(
            f"AUTH_AUTHORITY_HOST and GRAPH_BASE_URL belong to different clouds: with {authority_host} goes {hosts[0]}."
        )
    return graph


def _vaults(reader: Reader) -> tuple[tuple[str, str], ...]:
    text = reader.required("TOKEN_VAULT_URLS", "set it to the address of the token vault (https://….vault.azure.net).")
    vaults: dict[str, str] = {}
    for part in filter(None, (p.strip() for p in text.split(","))):
        label, equals, url = part.partition("=")
        if not equals or "://" in label:
            # Of the address, not of the place in the list: cookies carry it, and lists get reordered.
            label, url = hashlib.sha256(part.rstrip("/").lower().encode()).hexdigest()[:8], part
        if not _VAULT_LABEL.fullmatch(label):
            reader.findings.append("TOKEN_VAULT_URLS: a label has lower-case letters, digits and hyphens, 24 at most.")
        if label in vaults:
            reader.findings.append(f"TOKEN_VAULT_URLS: the label {label} stands twice: give each vault its own.")
        vaults[label] = reader.url("TOKEN_VAULT_URLS", url.strip(), https_only=True)
    if len(set(vaults.values())) < len(vaults):
        reader.findings.append("TOKEN_VAULT_URLS names one vault twice: name each once.")
    return tuple(vaults.items())


def _origins(reader: Reader) -> tuple[str, ...]:
    origins: list[str] = []
    for part in filter(None, (p.strip() for p in (reader.text("FRONTEND_ORIGINS") or "").split(","))):
        address = reader.url("FRONTEND_ORIGINS", part)
        if not address:
            continue
        origin = origin_of(address)
        if address != origin:
            reader.findings.append(f"FRONTEND_ORIGINS: write {origin}, an origin has no path.")
        origins.append(origin)
    return tuple(dict.fromkeys(origins))


def _default_return(reader: Reader, public_base_url: str, origins: tuple[str, ...]) -> str:
    configured = reader.text("DEFAULT_RETURN_URL")
    if not public_base_url or not configured:
        return public_base_url + "/"
    try:
        if origin_of(configured) in (origin_of(public_base_url), *origins):
            return configured.partition("#")[0]
    except ValueError:
        pass
    reader.findings.append("DEFAULT_RETURN_URL lies on an origin that is neither public nor in FRONTEND_ORIGINS.")
    return public_base_url + "/"
