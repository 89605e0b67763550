// The app registration, for whoever may write to the directory. An entry file of its own: it needs the Microsoft Graph
// extension, which the compiler downloads, and another right than everything in ../main.bicep.
// It is deployed twice: before the resources, as their settings name its id, and after them, as it names theirs.

targetScope = 'subscription'

extension microsoftGraphV1

@description('Required. Name of the azd environment, so that each has a registration of its own.')
@minLength(1)
@maxLength(64)
param environmentName string

@description('Required. Who may sign in: `common`, `organizations`, `consumers`, or the id of this tenant.')
@minLength(1)
@maxLength(100)
param signInTenant string

@description('Required. Delegated permissions of Microsoft Graph to ask for, besides those of signing in.')
param permissions Permission[]

@description('Optional. Where Microsoft sends people back to. Empty until the app has a host name.')
param redirectUri string = ''

@description('Optional. What Microsoft calls when somebody signs out elsewhere. Empty until the app has a host name.')
param logoutUrl string = ''

@description('Optional. Object id of the app\'s managed identity, which then needs no secret. Empty: no federated credential.')
param identityPrincipalId string = ''

@description('Optional. Lets Microsoft hand out tokens at its authorization endpoint, for `flow=token`.')
param allowTokenFlow bool = false

type Permission =
  | 'Notes.Create'
  | 'Notes.Read'
  | 'Notes.ReadWrite'
  | 'Notes.Read.All'
  | 'Notes.ReadWrite.All'
  | 'User.Read'
  | 'email'

var personalTenant = '9188040d-6c67-4c5b-b112-36a304b66dad' // "ID token claims reference": tenant of personal accounts
var onlyPersonal = contains(['consumers', personalTenant], toLower(signInTenant))

// "Microsoft Graph permissions reference": app id of Microsoft Graph, and ids of its delegated permissions.
var microsoftGraph = '00000003-0000-0000-c000-000000000000'
var ids = {
  openid: '37f7f235-527c-4136-accd-4a02d197296e'
  profile: '14dad69e-099b-42c9-810b-d002981feec1'
  offline_access: '7427e0e9-2fba-42fe-b0c0-848c9e6a8182'
  email: '64a6cdd6-aab1-4aaf-94b8-3cc8405e90d0'
  'User.Read': 'e1fe6dd8-ba31-4d61-89e7-88639da4683d'
  'Notes.Create': '9d822255-d64d-4b7a-afdb-833b9a97ed02'
  'Notes.Read': '371361e4-b9e2-4a3f-8315-2a301a3b0a3d'
  'Notes.ReadWrite': '615e26af-c38a-4150-ae3e-c3b0d4cb1d6a'
  'Notes.Read.All': 'dfabfca6-ee36-4db2-8208-7a28381419b3'
  'Notes.ReadWrite.All': '64ac0503-b4fa-45d9-b544-71a463f05da0'
}

resource application 'Microsoft.Graph/applications@v1.0' = {
  // The key by which a second deployment finds it. Of this subscription: nobody else's of the same name is touched.
  uniqueName: 'onenote-auth-${environmentName}-${uniqueString(subscription().id, environmentName)}'
  displayName: 'OneNote sign-in (${environmentName})'
  signInAudience: onlyPersonal
    ? 'PersonalMicrosoftAccount'
    : signInTenant == 'common'
        ? 'AzureADandPersonalMicrosoftAccount'
        : signInTenant == 'organizations' ? 'AzureADMultipleOrgs' : 'AzureADMyOrg'
  api: {
    requestedAccessTokenVersion: 2 // Microsoft wants it for personal accounts
  }
  web: {
    redirectUris: empty(redirectUri) ? [] : [redirectUri]
    logoutUrl: empty(logoutUrl) ? null : logoutUrl
    implicitGrantSettings: {
      enableAccessTokenIssuance: allowTokenFlow
      enableIdTokenIssuance: allowTokenFlow
    }
  }
  requiredResourceAccess: [
    {
      resourceAppId: microsoftGraph
      resourceAccess: map(union(['openid', 'profile', 'offline_access'], permissions), name => {
        id: ids[name]
        type: 'Scope'
      })
    }
  ]
  optionalClaims: {
    idToken: [
      { name: 'sid' } // without it, signing out elsewhere at Microsoft ends no session here
      { name: 'login_hint' } // without it, Microsoft may ask which account to sign out
    ]
  }

  resource trust 'federatedIdentityCredentials' = if (!empty(identityPrincipalId)) {
    name: '${application.uniqueName}/function-app'
    description: 'The managed identity of the function app, instead of a client secret.'
    issuer: '${environment().authentication.loginEndpoint}${tenant().tenantId}/v2.0'
    subject: identityPrincipalId
    audiences: ['api://AzureADTokenExchange']
  }
}

// What administrators of this tenant see and assign. Personal accounts know no such thing.
resource principal 'Microsoft.Graph/servicePrincipals@v1.0' = if (!onlyPersonal) {
  appId: application.appId
}

@description('Application (client) id: the setting AUTH_CLIENT_ID.')
output AUTH_CLIENT_ID string = application.appId
