// What azd deploys with: each value comes from `azd env set NAME VALUE`, else it is main.bicep's own default.

using 'main.bicep'

param environmentName = readEnvironmentVariable('AZURE_ENV_NAME')
param location = readEnvironmentVariable('AZURE_LOCATION')

param clientId = readEnvironmentVariable('AUTH_CLIENT_ID', '')
param federatedCredential = bool(readEnvironmentVariable('AUTH_FEDERATED_CREDENTIAL', 'true'))
param storedCredential = readEnvironmentVariable('AUTH_STORED_CREDENTIAL', 'none')

param signInTenant = readEnvironmentVariable('AUTH_TENANT', 'organizations')
param signIn = {
  authorityHost: readEnvironmentVariable('AUTH_AUTHORITY_HOST', '')
  scopes: readEnvironmentVariable('AUTH_SCOPES', '')
  allowedScopes: readEnvironmentVariable('AUTH_ALLOWED_SCOPES', '')
  allowTokenFlow: bool(readEnvironmentVariable('AUTH_ALLOW_TOKEN_FLOW', 'false'))
  exposeAccessToken: bool(readEnvironmentVariable('AUTH_EXPOSE_ACCESS_TOKEN', 'false'))
  operatorTokens: bool(readEnvironmentVariable('AUTH_OPERATOR_TOKENS', 'false'))
  graphBaseUrl: readEnvironmentVariable('GRAPH_BASE_URL', '')
  frontendOrigins: readEnvironmentVariable('FRONTEND_ORIGINS', '')
  defaultReturnUrl: readEnvironmentVariable('DEFAULT_RETURN_URL', '')
  caBundle: readEnvironmentVariable('CA_BUNDLE', '')
}

param sessions = {
  refreshSchedule: readEnvironmentVariable('REFRESH_SCHEDULE', '0 */5 * * * *')
  idleDays: int(readEnvironmentVariable('SESSION_IDLE_DAYS', '30'))
  maxDays: int(readEnvironmentVariable('SESSION_MAX_DAYS', '180'))
  keepAliveHours: int(readEnvironmentVariable('KEEP_ALIVE_HOURS', '24'))
  cacheSeconds: int(readEnvironmentVariable('SESSION_CACHE_SECONDS', '60'))
}

param graphBodyMaxMb = int(readEnvironmentVariable('GRAPH_BODY_MAX_MB', '30'))

param scale = {
  instanceMemoryMB: int(readEnvironmentVariable('INSTANCE_MEMORY_MB', '2048'))
  maximumInstanceCount: int(readEnvironmentVariable('MAXIMUM_INSTANCE_COUNT', '100'))
  alwaysReadyHttp: int(readEnvironmentVariable('ALWAYS_READY_HTTP', '0'))
  siteUpdateStrategy: readEnvironmentVariable('SITE_UPDATE_STRATEGY', 'RollingUpdate')
}

param tokenVaultCount = int(readEnvironmentVariable('TOKEN_VAULT_COUNT', '1'))
param recoverOperatorVault = bool(readEnvironmentVariable('RECOVER_OPERATOR_VAULT', 'false'))

// azd knows who is signed in.
param operatorPrincipalId = readEnvironmentVariable('AZURE_PRINCIPAL_ID', '')

param privateNetworking = bool(readEnvironmentVariable('PRIVATE_NETWORKING', 'false'))
param staticWebApp = bool(readEnvironmentVariable('STATIC_WEB_APP', 'false'))
param staticWebAppLocation = readEnvironmentVariable('STATIC_WEB_APP_LOCATION', 'westeurope')
param customDomain = readEnvironmentVariable('CUSTOM_DOMAIN', '')
param boundDomain = readEnvironmentVariable('BOUND_DOMAIN', '')

var actionGroups = readEnvironmentVariable('ACTION_GROUP_IDS', '')
param actionGroupIds = empty(actionGroups) ? [] : map(split(actionGroups, ','), id => trim(id))
