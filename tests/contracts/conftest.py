"""The throw-away authority that the embedded vaults' https is signed by."""

import pytest

from local.tls import LocalAuthority, make_authority


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> LocalAuthority:
    return make_authority(tmp_path_factory.mktemp("authority"))
