"""Origins and sites, as browsers tell them apart."""

import pytest

from shared.origins import origin_of, same_site


@pytest.mark.parametrize(
    ("url", "origin"),
    [
        ("https://App.Example/x?y#z", "https://app.example"),
        ("https://app.example:443/", "https://app.example"),
        ("http://localhost:80", "http://localhost"),
        ("http://localhost:5173/a", "http://localhost:5173"),
        ("https://[2001:db8::1]:8443/x", "https://[2001:db8::1]:8443"),
    ],
)
def test_an_origin_is_written_as_browsers_write_it(url: str, origin: str) -> None:
    """RFC 6454 §6.1."""
    assert origin_of(url) == origin


@pytest.mark.parametrize(
    "url",
    [
        "",
        "app.example",
        "//app.example",
        "ftp://app.example",
        "javascript:alert(1)",
        "https://",
        "https://u@h/",
        "https://:p@h/",
    ],
)
def test_what_has_no_origin_is_refused(url: str) -> None:
    """R-14."""
    with pytest.raises(ValueError):
        origin_of(url)


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("https://notes.example", "https://notes.example:8443", True),
        ("https://api.contoso.com", "https://app.contoso.com", True),
        ("https://api.contoso.co.uk", "https://app.contoso.co.uk", True),
        ("https://contoso.co.uk", "https://fabrikam.co.uk", False),
        ("https://contoso.com", "http://contoso.com", False),
        ("https://contoso.com", "https://fabrikam.com", False),
        # Public suffixes: two apps there are two sites.
        ("https://one.azurewebsites.net", "https://two.azurewebsites.net", False),
        ("https://one.azurewebsites.net", "https://one.azurewebsites.net", True),
        ("https://one.azurestaticapps.net", "https://two.azurestaticapps.net", False),
        ("http://localhost:7071", "http://localhost:5173", True),
        ("http://localhost:7071", "http://127.0.0.1:5173", False),
        ("http://127.0.0.1:1", "http://127.0.0.1:2", True),
        ("http://10.0.0.1", "http://10.0.0.2", False),
        ("http://10.0.0.1", "http://20.9.0.1", False),
        ("http://[::1]:1", "http://[::2]:1", False),
    ],
)
def test_sites_are_told_apart_as_browsers_do(one: str, other: str, same: bool) -> None:
    """A Lax cookie reaches the same site only (RFC 6265bis §5.2, the public suffix list)."""
    assert same_site(one, other) is same
    assert same_site(other, one) is same
