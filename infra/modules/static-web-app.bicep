// The static web app that a front end is deployed to. Its plan must be Standard: the free one links no functions.

import { Tags } from 'types.bicep'

@description('Name.')
param name string

@description('Region of its management; its content is served from everywhere.')
param location string

@description('Tags.')
param tags Tags

@description('Host name of your own; empty for none.')
param customDomain string

resource site 'Microsoft.Web/staticSites@2025-03-01' = {
  name: name
  location: location
  tags: tags
  sku: {
    name: 'Standard'
    tier: 'Standard'
  }
  properties: {
    allowConfigFileUpdates: true
    publicNetworkAccess: 'Enabled'
    stagingEnvironmentPolicy: 'Disabled' // previews can't reach a linked backend
  }
}

resource domain 'Microsoft.Web/staticSites/customDomains@2025-03-01' = if (!empty(customDomain)) {
  parent: site
  name: empty(customDomain) ? 'none' : customDomain
  properties: {
    validationMethod: 'cname-delegation'
  }
}

@description('Name.')
output name string = site.name

@description('Host name that Azure gave it.')
output host string = site.properties.defaultHostname
