// Every role that anybody gets, each on the one resource that it is needed for. Nothing is given wider than that.

@description('Object id of the identity that the app runs as.')
param appPrincipalId string

@description('Object id of who deploys and puts the credential into the operator\'s vault; empty gives nobody a role.')
param operatorPrincipalId string

@description('The vaults that hold sessions.')
param tokenVaultNames string[]

@description('The vault that holds the operator\'s secrets.')
param operatorVaultName string

@description('Storage account of the Functions host.')
param storageAccountName string

@description('Application Insights component.')
param applicationInsightsName string

// "Azure built-in roles", Microsoft Learn.
var roles = {
  secretsOfficer: subscriptionResourceId(
    'Microsoft.Authorization/roleDefinitions',
    'b86a8fe4-44ce-4948-aee5-eccb2c155cd7'
  )
  secretsUser: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', '4633458b-17de-408a-b874-0445c86b69e6')
  blobDataOwner: subscriptionResourceId(
    'Microsoft.Authorization/roleDefinitions',
    'b7e6dc6d-f1e8-4753-8033-0f276bb0955b'
  )
  tableDataContributor: subscriptionResourceId(
    'Microsoft.Authorization/roleDefinitions',
    '0a9a7e1f-b9d0-4cc4-a60d-0319b160aaa3'
  )
  metricsPublisher: subscriptionResourceId(
    'Microsoft.Authorization/roleDefinitions',
    '3913510d-42f4-4e42-8a64-420c390055eb'
  )
}

resource tokenVaults 'Microsoft.KeyVault/vaults@2026-05-15' existing = [
  for name in tokenVaultNames: {
    name: name
  }
]

resource operatorVault 'Microsoft.KeyVault/vaults@2026-05-15' existing = {
  name: operatorVaultName
}

resource storage 'Microsoft.Storage/storageAccounts@2026-06-01' existing = {
  name: storageAccountName
}

resource applicationInsights 'Microsoft.Insights/components@2020-02-02' existing = {
  name: applicationInsightsName
}

resource appWritesTokens 'Microsoft.Authorization/roleAssignments@2022-04-01' = [
  for (name, i) in tokenVaultNames: {
    scope: tokenVaults[i]
    name: guid(tokenVaults[i].id, appPrincipalId, roles.secretsOfficer)
    properties: {
      principalId: appPrincipalId
      principalType: 'ServicePrincipal'
      roleDefinitionId: roles.secretsOfficer
      description: 'The app keeps sessions here: it writes, lists, deletes and purges them.'
    }
  }
]

resource appReadsItsCredential 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  scope: operatorVault
  name: guid(operatorVault.id, appPrincipalId, roles.secretsUser)
  properties: {
    principalId: appPrincipalId
    principalType: 'ServicePrincipal'
    roleDefinitionId: roles.secretsUser
    description: 'The app reads its client secret or certificate here, and changes nothing.'
  }
}

resource hostUsesBlobs 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  scope: storage
  name: guid(storage.id, appPrincipalId, roles.blobDataOwner)
  properties: {
    principalId: appPrincipalId
    principalType: 'ServicePrincipal'
    roleDefinitionId: roles.blobDataOwner
    description: 'The Functions host reads the package, and keeps the timer\'s lock and the function keys.'
  }
}

// Queues are for triggers that this app does not have.
resource hostUsesTables 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  scope: storage
  name: guid(storage.id, appPrincipalId, roles.tableDataContributor)
  properties: {
    principalId: appPrincipalId
    principalType: 'ServicePrincipal'
    roleDefinitionId: roles.tableDataContributor
    description: 'The Functions host keeps its diagnostic events.'
  }
}

resource appSendsTelemetry 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  scope: applicationInsights
  name: guid(applicationInsights.id, appPrincipalId, roles.metricsPublisher)
  properties: {
    principalId: appPrincipalId
    principalType: 'ServicePrincipal'
    roleDefinitionId: roles.metricsPublisher
    description: 'The app and its host send logs and metrics.'
  }
}

// A person or a pipeline: Azure finds out which.
resource operatorKeepsTheCredential 'Microsoft.Authorization/roleAssignments@2022-04-01' = if (!empty(operatorPrincipalId)) {
  scope: operatorVault
  name: guid(operatorVault.id, operatorPrincipalId, roles.secretsOfficer)
  properties: {
    principalId: operatorPrincipalId
    roleDefinitionId: roles.secretsOfficer
    description: 'They put the client secret or certificate here; owning the subscription does not allow it.'
  }
}
