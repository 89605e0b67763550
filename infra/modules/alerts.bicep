// Owns the alert rules. Each is a query of its own file in ../queries and has a page of the same name in docs/runbook.md.

import { Tags } from 'types.bicep'

@description('Required. Beginning of each rule\'s name.')
@minLength(1)
@maxLength(60)
param namePrefix string

@description('Required. Region of the rules: that of the workspace.')
param location string

@description('Required. Tags of every rule.')
param tags Tags

@description('Required. Resource id of the Application Insights component that the function app writes to.')
param applicationInsightsId string

@description('Required. Resource id of the workspace that takes the vaults\' diagnostics.')
param workspaceId string

@description('Required. Resource ids of the action groups to tell. Empty: alerts are raised and nobody is told.')
param actionGroupIds string[]

@description('One alert rule. It fires when its query, over the window, gives any row, or no row at all.')
type Rule = {
  @description('Name of the rule, of its query\'s file and of its page in the runbook.')
  name: string
  @description('What is the matter, in a few words: the subject of the message.')
  title: string
  @description('0 critical, 1 error, 2 warning, 3 informational.')
  severity: 0 | 1 | 2 | 3
  query: string
  @description('Where the query runs: the component knows `traces` and `requests`, the workspace the vaults\' diagnostics.')
  over: 'component' | 'workspace'
  fires: 'on any row' | 'on no row'
  @description('ISO 8601. How often it is asked; rules that are asked seldom cost less.')
  every: 'PT5M' | 'PT15M'
  @description('ISO 8601. The window that a single question covers.')
  window: 'PT15M' | 'PT30M' | 'P2D'
}

var rules Rule[] = [
  {
    name: 'app-refused'
    title: 'The app itself is refused or set up wrongly'
    severity: 1
    query: loadTextContent('../queries/app-refused.kql')
    over: 'component'
    fires: 'on any row'
    every: 'PT5M'
    window: 'PT15M'
  }
  {
    name: 'sessions-dying'
    title: 'More sessions than usual are refused by Microsoft'
    severity: 2
    query: loadTextContent('../queries/sessions-dying.kql')
    over: 'component'
    fires: 'on any row'
    every: 'PT15M'
    window: 'P2D'
  }
  {
    name: 'sweep-missed'
    title: 'The timer that keeps tokens alive does not run'
    severity: 1
    query: loadTextContent('../queries/sweep-missed.kql')
    over: 'component'
    fires: 'on no row'
    every: 'PT5M'
    window: 'PT15M'
  }
  {
    name: 'sweep-behind'
    title: 'The timer does not get through'
    severity: 2
    query: loadTextContent('../queries/sweep-behind.kql')
    over: 'component'
    fires: 'on any row'
    every: 'PT15M'
    window: 'PT30M'
  }
  {
    name: 'vault-throttled'
    title: 'A token vault throttles'
    severity: 2
    query: loadTextContent('../queries/vault-throttled.kql')
    over: 'component'
    fires: 'on any row'
    every: 'PT15M'
    window: 'PT15M'
  }
  {
    name: 'vault-access-refused'
    title: 'A vault refuses somebody'
    severity: 2
    query: loadTextContent('../queries/vault-access-refused.kql')
    over: 'workspace'
    fires: 'on any row'
    every: 'PT15M'
    window: 'PT15M'
  }
  {
    name: 'errors-answered'
    title: 'More than 5 % of the requests fail'
    severity: 1
    query: loadTextContent('../queries/errors-answered.kql')
    over: 'component'
    fires: 'on any row'
    every: 'PT5M'
    window: 'PT15M'
  }
  {
    name: 'faults-of-ours'
    title: 'A fault of the bundle, or a sign-out that was not stored'
    severity: 2
    query: loadTextContent('../queries/faults-of-ours.kql')
    over: 'component'
    fires: 'on any row'
    every: 'PT15M'
    window: 'PT15M'
  }
]

resource alerts 'Microsoft.Insights/scheduledQueryRules@2026-03-01' = [
  for rule in rules: {
    name: '${namePrefix}-${rule.name}'
    location: location
    tags: tags
    kind: 'LogAlert'
    properties: {
      displayName: '${namePrefix}: ${rule.title}'
      description: 'What it means and how to mend it: docs/runbook.md#${rule.name}'
      severity: rule.severity
      enabled: true
      scopes: [rule.over == 'workspace' ? workspaceId : applicationInsightsId]
      evaluationFrequency: rule.every
      // The rule's own window ends at one day; what compares with the days before asks for more.
      windowSize: rule.window == 'P2D' ? 'P1D' : rule.window
      overrideQueryTimeRange: rule.window == 'P2D' ? 'P2D' : null
      autoMitigate: true
      // A new workspace has no table of the vaults yet: a rule over it would be refused.
      skipQueryValidation: rule.over == 'workspace'
      criteria: {
        allOf: [
          {
            query: rule.query
            timeAggregation: 'Count'
            operator: rule.fires == 'on no row' ? 'LessThan' : 'GreaterThan'
            threshold: rule.fires == 'on no row' ? 1 : 0
            failingPeriods: {
              numberOfEvaluationPeriods: 1
              minFailingPeriodsToAlert: 1
            }
          }
        ]
      }
      actions: {
        actionGroups: actionGroupIds
        customProperties: {
          runbook: 'docs/runbook.md#${rule.name}'
        }
      }
    }
  }
]
