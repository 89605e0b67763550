// The identity that the app runs as. It opens the vaults and the storage, and can be the app registration's credential.

import { Tags } from 'types.bicep'

@description('Name of the identity.')
param name string

@description('Region.')
param location string

@description('Tags.')
param tags Tags

resource identity 'Microsoft.ManagedIdentity/userAssignedIdentities@2024-11-30' = {
  name: name
  location: location
  tags: tags
}

@description('Resource id.')
output id string = identity.id

@description('Client id: what AZURE_CLIENT_ID names.')
output clientId string = identity.properties.clientId

@description('Object id: the subject of the federated credential, and who the roles are given to.')
output principalId string = identity.properties.principalId
