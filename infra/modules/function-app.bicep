// The Flex Consumption plan and the function app on it, with every app setting.

import { Scale, Sessions, SignIn, Tags } from 'types.bicep'

@description('Name of the app: its host name begins with it, so it is unique in the world.')
@minLength(2)
@maxLength(60)
param name string

@description('Name of the plan.')
param planName string

@description('Region.')
param location string

@description('Tags.')
param tags Tags

@description('Resource id of the identity that the app runs as.')
param identityId string

@description('Client id of that identity.')
param identityClientId string

@description('Storage account of the Functions host.')
param storageAccountName string

@description('Address of the container for the deployed package.')
param packageContainerUrl string

@description('Where telemetry is sent.')
param applicationInsightsConnectionString string

@description('Subnet that outgoing calls leave through; empty for none.')
param subnetId string

@description('Size and number of the instances.')
param scale Scale

@description('AUTH_CLIENT_ID')
param clientId string

@description('What lies in the operator\'s vault as the app\'s credential.')
param storedCredential 'none' | 'secret' | 'certificate'

@description('Where it lies.')
param credentialAddress string

@description('Whether the app\'s identity is a credential of the app registration.')
param federatedCredential bool

@description('AUTH_TENANT')
param signInTenant string

@description('What people may sign in for, and from where.')
param signIn SignIn

@description('How long sessions live.')
param sessions Sessions

@description('GRAPH_BODY_MAX_MB')
param graphBodyMaxMb int

@description('TOKEN_VAULT_URLS')
param tokenVaultUrls string

@description('PUBLIC_BASE_URL')
param publicBaseUrl string

// A plan of this kind takes one app, has no deployment slots, and refuses the settings that other plans need
// (FUNCTIONS_WORKER_RUNTIME, WEBSITE_RUN_FROM_PACKAGE …) and policies about publishing passwords, as it has none.
resource plan 'Microsoft.Web/serverfarms@2025-03-01' = {
  name: planName
  location: location
  tags: tags
  kind: 'functionapp'
  sku: {
    name: 'FC1'
    tier: 'FlexConsumption'
  }
  properties: {
    reserved: true
  }
}

resource app 'Microsoft.Web/sites@2025-03-01' = {
  name: name
  location: location
  tags: union(tags, { 'azd-service-name': 'api' })
  kind: 'functionapp,linux'
  identity: {
    type: 'UserAssigned'
    userAssignedIdentities: {
      '${identityId}': {}
    }
  }
  properties: {
    serverFarmId: plan.id
    httpsOnly: true
    clientAffinityEnabled: false
    // On this plan a host name of your own has a certificate only where this is set, and it can be set only while the app is
    // made. The types lag behind the service: "Site-scoped certificates", Microsoft Learn.
    #disable-next-line BCP037
    siteScopedCertificatesEnabled: true
    publicNetworkAccess: 'Enabled' // browsers come here, whatever else is private
    virtualNetworkSubnetId: empty(subnetId) ? null : subnetId
    siteConfig: {
      appSettings: [
        // The Functions host's own: storage and telemetry by identity, no key.
        { name: 'AzureWebJobsStorage__accountName', value: storageAccountName }
        { name: 'AzureWebJobsStorage__credential', value: 'managedidentity' }
        { name: 'AzureWebJobsStorage__clientId', value: identityClientId }
        { name: 'APPLICATIONINSIGHTS_CONNECTION_STRING', value: applicationInsightsConnectionString }
        { name: 'APPLICATIONINSIGHTS_AUTHENTICATION_STRING', value: 'ClientId=${identityClientId};Authorization=AAD' }
        // This app's: the README's table. An empty one means the app's default.
        { name: 'AUTH_CLIENT_ID', value: clientId }
        { name: 'AUTH_CLIENT_SECRET', value: storedCredential == 'secret' ? credentialAddress : '' }
        { name: 'AUTH_CLIENT_CERTIFICATE', value: storedCredential == 'certificate' ? credentialAddress : '' }
        { name: 'AUTH_MANAGED_IDENTITY_CLIENT_ID', value: federatedCredential ? identityClientId : '' }
        { name: 'AUTH_AUTHORITY_HOST', value: signIn.authorityHost }
        { name: 'AUTH_TENANT', value: signInTenant }
        { name: 'AUTH_SCOPES', value: signIn.scopes }
        { name: 'AUTH_ALLOWED_SCOPES', value: signIn.allowedScopes }
        { name: 'AUTH_ALLOW_TOKEN_FLOW', value: toLower(string(signIn.allowTokenFlow)) }
        { name: 'AUTH_EXPOSE_ACCESS_TOKEN', value: toLower(string(signIn.exposeAccessToken)) }
        { name: 'AUTH_OPERATOR_TOKENS', value: toLower(string(signIn.operatorTokens)) }
        { name: 'GRAPH_BASE_URL', value: signIn.graphBaseUrl }
        { name: 'GRAPH_BODY_MAX_MB', value: string(graphBodyMaxMb) }
        { name: 'TOKEN_VAULT_URLS', value: tokenVaultUrls }
        { name: 'PUBLIC_BASE_URL', value: publicBaseUrl }
        { name: 'FRONTEND_ORIGINS', value: signIn.frontendOrigins }
        { name: 'DEFAULT_RETURN_URL', value: signIn.defaultReturnUrl }
        { name: 'REFRESH_SCHEDULE', value: sessions.refreshSchedule }
        { name: 'SESSION_IDLE_DAYS', value: string(sessions.idleDays) }
        { name: 'SESSION_MAX_DAYS', value: string(sessions.maxDays) }
        { name: 'KEEP_ALIVE_HOURS', value: string(sessions.keepAliveHours) }
        { name: 'SESSION_CACHE_SECONDS', value: string(sessions.cacheSeconds) }
        { name: 'CA_BUNDLE', value: signIn.caBundle }
        { name: 'AZURE_CLIENT_ID', value: identityClientId }
      ]
      ftpsState: 'Disabled'
      http20Enabled: true
      minTlsVersion: '1.2'
      scmMinTlsVersion: '1.2'
      remoteDebuggingEnabled: false
    }
    functionAppConfig: {
      deployment: {
        storage: {
          type: 'blobContainer'
          value: packageContainerUrl
          authentication: {
            type: 'UserAssignedIdentity'
            userAssignedIdentityResourceId: identityId
          }
        }
      }
      runtime: {
        name: 'python'
        version: '3.13'
      }
      scaleAndConcurrency: {
        instanceMemoryMB: scale.instanceMemoryMB
        maximumInstanceCount: scale.maximumInstanceCount
        alwaysReady: scale.alwaysReadyHttp == 0 ? [] : [{ name: 'http', instanceCount: scale.alwaysReadyHttp }]
        triggers: {
          http: {
            // Python's default is one request at a time and instance. This app waits more than it works.
            perInstanceConcurrency: 16
          }
        }
      }
      // The types lag behind the service: "Site update strategies in Flex Consumption", Microsoft Learn.
      #disable-next-line BCP037
      siteUpdateStrategy: {
        type: scale.siteUpdateStrategy
      }
    }
  }
}

@description('Resource id of the app.')
output id string = app.id
