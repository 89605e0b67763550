using '../main.bicep'

param environmentName = 'example'
param location = 'westeurope'
param clientId = '11111111-1111-1111-1111-111111111111'

// Personal accounts, too: they need a client secret, which whoever deploys puts into the operator's vault.
param tokenVaultCount = 5
param signInTenant = 'common'
param storedCredential = 'secret'
param operatorPrincipalId = '22222222-2222-2222-2222-222222222222'
