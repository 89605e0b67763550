// The second half of a custom domain: the bound host name gets its certificate.

@description('Name of the function app.')
param functionAppName string

@description('The host name.')
param hostName string

@description('Thumbprint of the certificate.')
param thumbprint string

resource app 'Microsoft.Web/sites@2025-03-01' existing = {
  name: functionAppName
}

resource binding 'Microsoft.Web/sites/hostNameBindings@2025-03-01' = {
  parent: app
  name: hostName
  properties: {
    customHostNameDnsRecordType: 'CName'
    hostNameType: 'Verified'
    siteName: functionAppName
    sslState: 'SniEnabled'
    thumbprint: thumbprint
  }
}
