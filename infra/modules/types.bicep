// The types that main.bicep and its modules share. No resource.

// Where Flex Consumption runs, after Microsoft's own Flex template (Azure-Samples/functions-quickstart-python-http-azd).
@export()
@description('A region that has the Flex Consumption plan.')
type Region =
  | 'australiaeast'
  | 'australiasoutheast'
  | 'brazilsouth'
  | 'canadacentral'
  | 'centralindia'
  | 'centralus'
  | 'eastasia'
  | 'eastus'
  | 'eastus2'
  | 'francecentral'
  | 'germanywestcentral'
  | 'italynorth'
  | 'japaneast'
  | 'koreacentral'
  | 'northcentralus'
  | 'northeurope'
  | 'norwayeast'
  | 'southafricanorth'
  | 'southcentralus'
  | 'southeastasia'
  | 'southindia'
  | 'spaincentral'
  | 'swedencentral'
  | 'uaenorth'
  | 'uksouth'
  | 'ukwest'
  | 'westcentralus'
  | 'westeurope'
  | 'westus'
  | 'westus2'
  | 'westus3'

@export()
@description('Tags that every resource carries.')
type Tags = {
  *: string
}

@export()
@description('What people may sign in for, and from where: app settings of the same meaning, see the README. Empty leaves the default.')
type SignIn = {
  @description('AUTH_AUTHORITY_HOST')
  authorityHost: string

  @description('AUTH_SCOPES')
  scopes: string

  @description('AUTH_ALLOWED_SCOPES')
  allowedScopes: string

  @description('AUTH_ALLOW_TOKEN_FLOW')
  allowTokenFlow: bool

  @description('AUTH_EXPOSE_ACCESS_TOKEN')
  exposeAccessToken: bool

  @description('AUTH_OPERATOR_TOKENS')
  operatorTokens: bool

  @description('GRAPH_BASE_URL')
  graphBaseUrl: string

  @description('FRONTEND_ORIGINS')
  frontendOrigins: string

  @description('DEFAULT_RETURN_URL')
  defaultReturnUrl: string

  @description('CA_BUNDLE: a file that is deployed with the app.')
  caBundle: string
}

@export()
@description('How long sessions live and how they are kept alive: app settings of the same meaning, see the README.')
type Sessions = {
  @description('REFRESH_SCHEDULE: NCRONTAB with six fields, UTC.')
  @minLength(11)
  refreshSchedule: string

  @description('SESSION_IDLE_DAYS')
  @minValue(1)
  @maxValue(80)
  idleDays: int

  @description('SESSION_MAX_DAYS')
  @minValue(1)
  @maxValue(3650)
  maxDays: int

  @description('KEEP_ALIVE_HOURS')
  @minValue(1)
  @maxValue(720)
  keepAliveHours: int

  @description('SESSION_CACHE_SECONDS')
  @minValue(0)
  @maxValue(3600)
  cacheSeconds: int
}

@export()
@description('Size and number of the instances.')
type Scale = {
  @description('Memory of an instance in MB: 512, 2048 or 4096.')
  instanceMemoryMB: int

  @description('Instances at most. The plan takes 40 to 1000.')
  @minValue(40)
  @maxValue(1000)
  maximumInstanceCount: int

  @description('Instances that always run for the HTTP functions: no cold start, and a fixed cost. 0 scales to zero.')
  @minValue(0)
  @maxValue(1000)
  alwaysReadyHttp: int

  @description('RollingUpdate replaces instances in batches, so that an update interrupts nobody where two or more run. Recreate restarts all at once; take it in a region that refuses the other.')
  siteUpdateStrategy: 'RollingUpdate' | 'Recreate'
}
