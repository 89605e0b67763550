// A host name of your own for the function app, with a certificate that Azure renews. In this order, as Azure wants it:
// the name, the certificate for a name that is bound, then the name again with the certificate. Where that has been done,
// the first step is left out: it would take the certificate off until the last one.

import { Tags } from 'types.bicep'

@description('Name of the function app.')
param functionAppName string

@description('Region.')
param location string

@description('Tags.')
param tags Tags

@description('The host name.')
param hostName string

@description('Whether an earlier deployment has bound it with its certificate.')
param alreadyBound bool

resource app 'Microsoft.Web/sites@2025-03-01' existing = {
  name: functionAppName
}

resource binding 'Microsoft.Web/sites/hostNameBindings@2025-03-01' = if (!alreadyBound) {
  parent: app
  name: hostName
  properties: {
    customHostNameDnsRecordType: 'CName'
    hostNameType: 'Verified'
    siteName: functionAppName
  }
}

// Of the site, not of the plan: Flex Consumption takes no other certificates.
resource certificate 'Microsoft.Web/sites/certificates@2025-03-01' = {
  parent: app
  name: replace(hostName, '.', '-')
  location: location
  tags: tags
  properties: {
    canonicalName: hostName
    domainValidationMethod: 'CNAME'
  }
  dependsOn: [binding]
}

// A template can't name a resource twice; a module is a template of its own.
module encrypted 'custom-domain-certificate.bicep' = {
  name: 'custom-domain-certificate'
  params: {
    functionAppName: functionAppName
    hostName: hostName
    thumbprint: certificate.properties.thumbprint
  }
}
