"""The embedded Key Vault: the secrets data plane, with its quotas, its soft delete and its refusals."""
