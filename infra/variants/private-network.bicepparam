using '../main.bicep'

param environmentName = 'example'
param location = 'westeurope'
param clientId = '11111111-1111-1111-1111-111111111111'

param privateNetworking = true
