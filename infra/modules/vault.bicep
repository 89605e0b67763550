// One Key Vault whose access is by role alone, with its audit log.

import { Tags } from 'types.bicep'

@description('Name, unique in the world.')
@minLength(3)
@maxLength(24)
param name string

@description('Region.')
param location string

@description('Tags.')
param tags Tags

@description('What it holds. Token vaults are a cache that a sign-in refills; the operator keeps there what can not be got back.')
param holds 'tokens' | 'operator secrets'

@description('Whether it is reached through a private endpoint alone.')
param privateNetworking bool

@description('Brings a deleted vault of this name back with its secrets, instead of making a new one.')
param recover bool

@description('Workspace that the audit log goes to.')
param workspaceId string

// Sign-out means that the tokens are gone: the timer must be able to purge them. With purge protection they would stay
// recoverable for the whole retention time, and it can never be switched off again. So token vaults leave it unset
// (Azure refuses false) and keep deleted secrets for the shortest time there is.
var protection = holds == 'tokens'
  ? { softDeleteRetentionInDays: 7 }
  : { softDeleteRetentionInDays: 90, enablePurgeProtection: true }

resource vault 'Microsoft.KeyVault/vaults@2026-05-15' = {
  name: name
  location: location
  tags: union(tags, { holds: holds })
  properties: {
    tenantId: tenant().tenantId
    sku: {
      family: 'A'
      name: 'standard'
    }
    createMode: recover ? 'recover' : 'default'
    enableRbacAuthorization: true
    enableSoftDelete: true
    ...protection
    enabledForDeployment: false
    enabledForDiskEncryption: false
    enabledForTemplateDeployment: false
    publicNetworkAccess: privateNetworking ? 'Disabled' : 'Enabled'
    networkAcls: {
      bypass: 'None'
      defaultAction: privateNetworking ? 'Deny' : 'Allow'
    }
  }
}

// The newest version that is not a preview is from 2016 and knows no category groups.
#disable-next-line use-recent-api-versions
resource audit 'Microsoft.Insights/diagnosticSettings@2021-05-01-preview' = {
  scope: vault
  name: 'audit'
  properties: {
    workspaceId: workspaceId
    logs: [
      {
        categoryGroup: 'audit'
        enabled: true
      }
    ]
  }
}

@description('Resource id.')
output id string = vault.id

@description('Name.')
output name string = vault.name
