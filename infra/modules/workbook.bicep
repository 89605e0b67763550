// Owns the workbook: sign-ins, health of sessions, the timer, latency. Its content is workbook.json beside this file.

import { Tags } from 'types.bicep'

@description('Required. Beginning of the workbook\'s title.')
param namePrefix string

@description('Required. Region of the workbook.')
param location string

@description('Required. Tags of the workbook.')
param tags Tags

@description('Required. Resource id of the Application Insights component that the function app writes to.')
param applicationInsightsId string

@description('Required. Resource id of the workspace that takes the vaults\' diagnostics.')
param workspaceId string

var content = replace(
  replace(loadTextContent('workbook.json'), 'APPLICATION_INSIGHTS_ID', applicationInsightsId),
  'WORKSPACE_ID',
  workspaceId
)

resource workbook 'Microsoft.Insights/workbooks@2023-06-01' = {
  // Azure wants a GUID here, and shows the display name.
  name: guid(applicationInsightsId, 'onenote-auth')
  location: location
  tags: tags
  kind: 'shared'
  properties: {
    category: 'workbook'
    displayName: '${namePrefix}: sign-ins, sessions and the timer'
    sourceId: applicationInsightsId
    serializedData: content
    version: 'Notebook/1.0'
  }
}
