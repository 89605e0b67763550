// Everything that onenote-auth needs in Azure, in a resource group of its own. Each module says what it makes.
// The app registration is not here: making it takes rights in the directory that not everybody has.

targetScope = 'subscription'

import { Region, Scale, Sessions, SignIn } from 'modules/types.bicep'

// ---------------------------------------------------------------- what you decide

@description('Names this deployment. Another name, other resources.')
@minLength(1)
@maxLength(64)
param environmentName string

@description('Region of everything, except what has no region.')
param location Region

@description('Application (client) id of the app registration.')
@maxLength(36)
param clientId string

@description('Whether the app registration has a federated credential that trusts the app\'s identity, so that work accounts need no secret.')
param federatedCredential bool = true

@description('What lies in the operator\'s vault as the app\'s credential, put there by hand: a client secret named auth-client-secret, a certificate with its key as PEM named auth-client-certificate, or nothing. Personal accounts need one of them: nobody has confirmed that Microsoft takes a federated credential for those.')
param storedCredential 'none' | 'secret' | 'certificate' = 'none'

@description('Who may sign in: common, organizations, consumers or a tenant id.')
@minLength(1)
@maxLength(100)
param signInTenant string = 'organizations'

@description('What they may sign in for, and from where.')
param signIn SignIn = {
  authorityHost: ''
  scopes: ''
  allowedScopes: ''
  allowTokenFlow: false
  exposeAccessToken: false
  operatorTokens: false
  graphBaseUrl: ''
  frontendOrigins: ''
  defaultReturnUrl: ''
  caBundle: ''
}

@description('How long sessions live and how they are kept alive.')
param sessions Sessions = {
  refreshSchedule: '0 */5 * * * *'
  idleDays: 30
  maxDays: 180
  keepAliveHours: 24
  cacheSeconds: 60
}

@description('GRAPH_BODY_MAX_MB: the largest body passed on to Graph and back.')
@minValue(1)
@maxValue(100)
param graphBodyMaxMb int = 30

@description('Size and number of the instances.')
param scale Scale = {
  instanceMemoryMB: 2048
  maximumInstanceCount: 100
  alwaysReadyHttp: 0
  siteUpdateStrategy: 'RollingUpdate'
}

// Five: a subscription may make five times as many calls in a region as one vault takes ("Key Vault service limits").
@description('Number of token vaults. Raise it to store more sessions; never lower it, as a vault that is no longer named loses its sessions.')
@minValue(1)
@maxValue(5)
param tokenVaultCount int = 1

@description('Brings the operator\'s vault back after its resource group was deleted: purge protection keeps its name for 90 days. Use it for one deployment.')
param recoverOperatorVault bool = false

@description('Object id of who puts the credential into the operator\'s vault: gets the role for it, where there is one to store. Empty gives nobody a role.')
param operatorPrincipalId string = ''

@description('Whether vaults and storage are reached through a private network alone. The function app stays public, as browsers come to it; what is put into the operator\'s vault must then come from that network, too. Once before: az provider register --namespace Microsoft.App.')
param privateNetworking bool = false

@description('Whether to make a static web app for the front end, whose /api is this app. Azure then closes the app\'s own host name to everybody else. Microsoft\'s documents do not name Flex Consumption among the plans that can be linked: try it before you rely on it.')
param staticWebApp bool = false

@description('Region of the static web app\'s management.')
param staticWebAppLocation 'centralus' | 'eastasia' | 'eastus2' | 'westeurope' | 'westus2' = 'westeurope'

@description('Host name of your own, such as notes.example.com; empty for none. It must be in DNS before: a CNAME to the host name that Azure gave the app (or the static web app), and for the app a TXT record at asuid.<host name> with its custom domain verification id. So deploy once without it.')
@maxLength(253)
param customDomain string = ''

@description('The custom domain that an earlier deployment has given its certificate: an output, which azd hands back. It is then left as it is.')
@maxLength(253)
param boundDomain string = ''

@description('Resource ids of action groups that alerts notify. Empty: alerts are seen in the portal only.')
@maxLength(5)
param actionGroupIds string[] = []

// ---------------------------------------------------------------- what contradicts itself

var servesPersonalAccounts = contains(
  ['common', 'consumers', '9188040d-6c67-4c5b-b112-36a304b66dad'],
  toLower(signInTenant)
)
var servesWorkAccounts = !contains(['consumers', '9188040d-6c67-4c5b-b112-36a304b66dad'], toLower(signInTenant))

var frontendOrigins = empty(signIn.frontendOrigins)
  ? []
  : map(split(signIn.frontendOrigins, ','), origin => trim(origin))

var findings = filter(
  [
    endsWith(environmentName, '.')
      ? 'AZURE_ENV_NAME ends with a dot, and no resource group can: take another name.'
      : ''
    length(clientId) == 36 && length(split(clientId, '-')) == 5
      ? ''
      : 'AUTH_CLIENT_ID is no application (client) id: make the app registration first, then: azd env set AUTH_CLIENT_ID <its id>.'
    contains(['common', 'organizations', 'consumers'], toLower(signInTenant)) || (length(signInTenant) == 36 && length(split(
        signInTenant,
        '-'
      )) == 5)
      ? ''
      : 'AUTH_TENANT=${signInTenant} is neither common, organizations, consumers nor a tenant id.'
    servesPersonalAccounts && storedCredential == 'none'
      ? 'AUTH_TENANT=${signInTenant} lets personal accounts in, and for those a managed identity alone is not known to work: set AUTH_STORED_CREDENTIAL to secret or certificate, or AUTH_TENANT to organizations.'
      : ''
    servesWorkAccounts && !servesPersonalAccounts && !federatedCredential && storedCredential == 'none'
      ? 'There is no credential: set AUTH_FEDERATED_CREDENTIAL to true, or AUTH_STORED_CREDENTIAL to secret or certificate.'
      : ''
    contains([512, 2048, 4096], scale.instanceMemoryMB)
      ? ''
      : 'INSTANCE_MEMORY_MB is ${scale.instanceMemoryMB}: the plan has instances of 512, 2048 and 4096 MB.'
    scale.alwaysReadyHttp > scale.maximumInstanceCount
      ? 'More instances are always ready (${scale.alwaysReadyHttp}) than there may be (${scale.maximumInstanceCount}): lower ALWAYS_READY_HTTP or raise MAXIMUM_INSTANCE_COUNT.'
      : ''
    sessions.idleDays > sessions.maxDays
      ? 'SESSION_IDLE_DAYS is more than SESSION_MAX_DAYS: make it less or equal.'
      : ''
    length(split(sessions.refreshSchedule, ' ')) == 6
      ? ''
      : 'REFRESH_SCHEDULE needs six fields, seconds first, for example: 0 */5 * * * *'
    empty(signIn.authorityHost) || startsWith(signIn.authorityHost, 'https://')
      ? ''
      : 'AUTH_AUTHORITY_HOST must begin with https://.'
    empty(signIn.graphBaseUrl) || startsWith(signIn.graphBaseUrl, 'https://')
      ? ''
      : 'GRAPH_BASE_URL must begin with https://.'
    empty(filter(
        frontendOrigins,
        origin =>
          !startsWith(origin, 'https://') && !startsWith(origin, 'http://localhost') || length(split(origin, '/')) != 3
      ))
      ? ''
      : 'FRONTEND_ORIGINS holds something that is no origin: write https://app.example.com, without a path or a slash at its end.'
    empty(signIn.defaultReturnUrl) || startsWith(signIn.defaultReturnUrl, 'https://') || startsWith(
        signIn.defaultReturnUrl,
        'http://localhost'
      )
      ? ''
      : 'DEFAULT_RETURN_URL must begin with https://.'
    contains(customDomain, '*') || contains(customDomain, '/') || contains(customDomain, ':') || contains(
        customDomain,
        ' '
      ) || (!empty(customDomain) && !contains(customDomain, '.'))
      ? 'CUSTOM_DOMAIN is a host name alone, without https://, a path or a star: notes.example.com.'
      : ''
    empty(filter(actionGroupIds, id => !contains(toLower(id), '/providers/microsoft.insights/actiongroups/')))
      ? ''
      : 'ACTION_GROUP_IDS holds something that is no resource id of an action group (/subscriptions/…/providers/Microsoft.Insights/actionGroups/…).'
  ],
  finding => !empty(finding)
)
// Each name below is made of this one, so nothing is made while there is a finding.
var acceptedName = empty(findings) ? environmentName : fail(join(findings, ' '))

// ---------------------------------------------------------------- names

var token = toLower(uniqueString(subscription().id, acceptedName, location))
var namePrefix = 'onenote-auth-${token}'
var tags = { 'azd-env-name': acceptedName }
var functionAppName = namePrefix
var tokenVaultNames = [for i in range(1, tokenVaultCount): 'onat-${i}-${token}']
var operatorVaultName = 'onat-op-${token}'
var storageAccountName = 'onat${token}'
var packageContainer = 'package'
var applicationInsightsName = namePrefix
var storageServices = ['blob', 'table'] // what the Functions host uses for HTTP and timer triggers

// Flex Consumption is in the public cloud alone, so these names are known before anything runs.
#disable-next-line no-hardcoded-env-urls
var vaultDomain = 'vault.azure.net'
var vaultZone = 'privatelink.vaultcore.azure.net'
#disable-next-line no-hardcoded-env-urls
var storageZones = map(storageServices, service => 'privatelink.${service}.core.windows.net')

// ---------------------------------------------------------------- what is made

resource group 'Microsoft.Resources/resourceGroups@2025-04-01' = {
  name: 'rg-${acceptedName}'
  location: location
  tags: tags
}

module identity 'modules/identity.bicep' = {
  name: 'identity'
  scope: group
  params: {
    name: namePrefix
    location: location
    tags: tags
  }
}

module monitoring 'modules/monitoring.bicep' = {
  name: 'monitoring'
  scope: group
  params: {
    workspaceName: namePrefix
    applicationInsightsName: applicationInsightsName
    location: location
    tags: tags
  }
}

module tokenVaults 'modules/vault.bicep' = [
  for (name, i) in tokenVaultNames: {
    name: 'token-vault-${i + 1}'
    scope: group
    params: {
      name: name
      location: location
      tags: tags
      holds: 'tokens'
      privateNetworking: privateNetworking
      recover: false
      workspaceId: monitoring.outputs.workspaceId
    }
  }
]

module operatorVault 'modules/vault.bicep' = {
  name: 'operator-vault'
  scope: group
  params: {
    name: operatorVaultName
    location: location
    tags: tags
    holds: 'operator secrets'
    privateNetworking: privateNetworking
    recover: recoverOperatorVault
    workspaceId: monitoring.outputs.workspaceId
  }
}

module storage 'modules/storage.bicep' = {
  name: 'storage'
  scope: group
  params: {
    name: storageAccountName
    location: location
    tags: tags
    packageContainer: packageContainer
    privateNetworking: privateNetworking
  }
}

// Before the app: it can't start without them.
module roles 'modules/roles.bicep' = {
  name: 'roles'
  scope: group
  params: {
    appPrincipalId: identity.outputs.principalId
    operatorPrincipalId: storedCredential == 'none' ? '' : operatorPrincipalId
    tokenVaultNames: [for i in range(0, tokenVaultCount): tokenVaults[i].outputs.name]
    operatorVaultName: operatorVault.outputs.name
    storageAccountName: storage.outputs.name
    applicationInsightsName: last(split(monitoring.outputs.applicationInsightsId, '/'))
  }
}

module network 'modules/network.bicep' = if (privateNetworking) {
  name: 'network'
  scope: group
  params: {
    name: namePrefix
    location: location
    tags: tags
    zoneNames: [vaultZone, ...storageZones]
  }
}

module vaultEndpoints 'modules/private-endpoint.bicep' = [
  for (name, i) in [...tokenVaultNames, operatorVaultName]: if (privateNetworking) {
    name: 'endpoint-${name}'
    scope: group
    params: {
      name: name
      location: location
      tags: tags
      subnetId: network!.outputs.endpointSubnetId
      targetId: i < tokenVaultCount ? tokenVaults[i].outputs.id : operatorVault.outputs.id
      groupId: 'vault'
      zoneName: vaultZone
    }
  }
]

module storageEndpoints 'modules/private-endpoint.bicep' = [
  for (service, i) in storageServices: if (privateNetworking) {
    name: 'endpoint-${service}'
    scope: group
    params: {
      name: '${storageAccountName}-${service}'
      location: location
      tags: tags
      subnetId: network!.outputs.endpointSubnetId
      targetId: storage.outputs.id
      groupId: service
      zoneName: storageZones[i]
    }
  }
]

module frontEnd 'modules/static-web-app.bicep' = if (staticWebApp) {
  name: 'front-end'
  scope: group
  params: {
    name: namePrefix
    location: staticWebAppLocation
    tags: tags
    customDomain: customDomain
  }
}

var publicHost = !empty(customDomain)
  ? customDomain
  : staticWebApp ? frontEnd!.outputs.host : '${functionAppName}.azurewebsites.net'
var publicBaseUrl = 'https://${publicHost}'
var credentialAddress = 'https://${operatorVaultName}.${vaultDomain}/secrets/auth-client-${storedCredential}'
var vaultAddresses = [for (name, i) in tokenVaultNames: 'v${i + 1}=https://${name}.${vaultDomain}']

module functionApp 'modules/function-app.bicep' = {
  name: 'function-app'
  scope: group
  params: {
    name: functionAppName
    planName: namePrefix
    location: location
    tags: tags
    identityId: identity.outputs.id
    identityClientId: identity.outputs.clientId
    storageAccountName: storage.outputs.name
    packageContainerUrl: storage.outputs.packageContainerUrl
    applicationInsightsConnectionString: monitoring.outputs.connectionString
    subnetId: privateNetworking ? network!.outputs.appSubnetId : ''
    scale: scale
    clientId: clientId
    storedCredential: storedCredential
    credentialAddress: credentialAddress
    federatedCredential: federatedCredential && servesWorkAccounts
    signInTenant: signInTenant
    signIn: signIn
    sessions: sessions
    graphBodyMaxMb: graphBodyMaxMb
    tokenVaultUrls: join(vaultAddresses, ',')
    publicBaseUrl: publicBaseUrl
  }
  dependsOn: [roles, vaultEndpoints, storageEndpoints]
}

module linkedBackend 'modules/linked-backend.bicep' = if (staticWebApp) {
  name: 'linked-backend'
  scope: group
  params: {
    staticWebAppName: frontEnd!.outputs.name
    functionAppId: functionApp.outputs.id
    functionAppLocation: location
  }
}

module appDomain 'modules/custom-domain.bicep' = if (!empty(customDomain) && !staticWebApp) {
  name: 'custom-domain'
  scope: group
  params: {
    functionAppName: last(split(functionApp.outputs.id, '/'))
    location: location
    tags: tags
    hostName: customDomain
    alreadyBound: customDomain == boundDomain
  }
}

module alerts 'modules/alerts.bicep' = {
  name: 'alerts'
  scope: group
  params: {
    namePrefix: namePrefix
    location: location
    tags: tags
    applicationInsightsId: monitoring.outputs.applicationInsightsId
    workspaceId: monitoring.outputs.workspaceId
    actionGroupIds: actionGroupIds
  }
}

module workbook 'modules/workbook.bicep' = {
  name: 'workbook'
  scope: group
  params: {
    namePrefix: namePrefix
    location: location
    tags: tags
    applicationInsightsId: monitoring.outputs.applicationInsightsId
    workspaceId: monitoring.outputs.workspaceId
  }
}

// ---------------------------------------------------------------- what the next steps need

@description('Resource group that holds everything.')
output AZURE_RESOURCE_GROUP string = group.name

@description('Name of the function app.')
output FUNCTION_APP_NAME string = functionAppName

@description('Where browsers see the app.')
output PUBLIC_BASE_URL string = publicBaseUrl

@description('Redirect URI for the app registration.')
output REDIRECT_URI string = '${publicBaseUrl}/api/auth/callback'

@description('Front-channel logout URL for the app registration.')
output FRONTCHANNEL_LOGOUT_URL string = '${publicBaseUrl}/api/auth/frontchannel-logout'

@description('Client id of the app\'s identity.')
output IDENTITY_CLIENT_ID string = identity.outputs.clientId

@description('Object id of the app\'s identity: the subject of the federated credential.')
output IDENTITY_PRINCIPAL_ID string = identity.outputs.principalId

@description('Tenant of the subscription.')
output AZURE_TENANT_ID string = tenant().tenantId

@description('Vault for the app\'s credential, where there is one to store.')
output OPERATOR_VAULT_NAME string = operatorVaultName

@description('Vaults that hold sessions.')
output TOKEN_VAULT_NAMES string[] = tokenVaultNames

@description('Custom domain of the app that has its certificate; empty without one.')
output BOUND_DOMAIN string = staticWebApp ? '' : customDomain

@description('Host name of the static web app; empty without one.')
output FRONT_END_HOST string = staticWebApp ? frontEnd!.outputs.host : ''
