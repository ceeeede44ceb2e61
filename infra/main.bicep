// Everything the bot needs in Azure but the bot's own container, which app.bicep adds once its image exists.
// Written in the part of the language that every parser of the checks in tests/infra understands.
targetScope = 'subscription'

@description('Name of the azd environment; part of every name, and the tag by which azd finds its resources.')
@minLength(1)
@maxLength(64)
param environmentName string

@description('Region of all resources. One region: Strong consistency, and one place where a turn is decided.')
@minLength(1)
param location string

@description('Where state is kept.')
@allowed([
  'cosmos'
  'blob'
])
param storageBackend string = 'cosmos'

@description('How Cosmos DB is paid: by request (serverless), or by the hour between 10 % and all of cosmosMaxThroughput.')
@allowed([
  'serverless'
  'autoscale'
])
param cosmosMode string = 'serverless'

@description('RU/s that autoscale may reach, in thousands: 1000, 2000, ... 0: 1000 with autoscale, and nothing with serverless.')
@minValue(0)
@maxValue(1000000)
param cosmosMaxThroughput int = 0

@description('Blob Storage in three zones (ZRS), or in one (LRS) in a region that has no zones.')
@allowed([
  'Standard_ZRS'
  'Standard_LRS'
])
param storageSku string = 'Standard_ZRS'

@description('Who the bot is to the channels: the managed identity made here, or an app registration of yours. MultiTenant registrations cannot be created any more.')
@allowed([
  'UserAssignedMSI'
  'SingleTenant'
])
param botAppType string = 'UserAssignedMSI'

@description('Client id of your app registration; for SingleTenant only.')
param botAppId string = ''

@description('Days after its last use that a conversation is forgotten; 0: never.')
@minValue(0)
@maxValue(24855)
param expireConversationDays int = 0

@description('Days after its last use that what is private to a user in a conversation is forgotten; 0: never.')
@minValue(0)
@maxValue(24855)
param expirePrivateDays int = 0

@description('Days after its last use that what is known of a user is forgotten; 0: never.')
@minValue(0)
@maxValue(24855)
param expireUserDays int = 0

@description('Object id of a user who may read and write state, for work from a desk; empty: nobody.')
param developerPrincipalId string = ''

@description('Replicas that always run; used by app.bicep, checked here.')
@minValue(1)
@maxValue(1000)
param minReplicas int = 2

@description('Replicas at most; used by app.bicep, checked here.')
@minValue(1)
@maxValue(1000)
param maxReplicas int = 10

@description('Password of your app registration, for SingleTenant only; used by app.bicep, checked here.')
@secure()
param botAppPassword string = ''

var ownRegistration = botAppType == 'SingleTenant'
var refusedThroughput = cosmosMode == 'serverless' && cosmosMaxThroughput > 0 ? 'cosmosMaxThroughput is for cosmosMode autoscale: serverless has no throughput to set. ' : ''
var refusedSteps = cosmosMaxThroughput % 1000 == 0 ? '' : 'cosmosMaxThroughput must be a multiple of 1000. '
var refusedReplicas = minReplicas > maxReplicas ? 'minReplicas is above maxReplicas. ' : ''
var refusedRegistration = ownRegistration && (empty(botAppId) || empty(botAppPassword)) ? 'botAppType SingleTenant needs botAppId and botAppPassword. ' : ''
var refusedIdentity = !ownRegistration && (!empty(botAppId) || !empty(botAppPassword)) ? 'botAppId and botAppPassword are for botAppType SingleTenant. ' : ''

var token = toLower(uniqueString(subscription().id, environmentName, location))
// Who a registration is can never be changed: for another one there is another registration.
var botToken = toLower(uniqueString(subscription().id, environmentName, location, botAppType, botAppId))
var appName = 'ca-bot-${token}'
var tags = {
  'azd-env-name': environmentName
}

module agreed 'modules/agreed.bicep' = {
  name: 'agreed-${token}'
  params: {
    refusal: '${refusedThroughput}${refusedSteps}${refusedReplicas}${refusedRegistration}${refusedIdentity}'
  }
}

resource group 'Microsoft.Resources/resourceGroups@2025-04-01' = {
  name: 'rg-${environmentName}'
  location: location
  tags: tags
  dependsOn: [
    agreed
  ]
}

module identity 'modules/identity.bicep' = {
  name: 'identity'
  scope: group
  params: {
    name: 'id-bot-${token}'
    location: location
    tags: tags
  }
}

module monitoring 'modules/monitoring.bicep' = {
  name: 'monitoring'
  scope: group
  params: {
    token: token
    location: location
    tags: tags
  }
}

module registry 'modules/registry.bicep' = {
  name: 'registry'
  scope: group
  params: {
    name: 'crbot${token}'
    location: location
    tags: tags
    pullPrincipalId: identity.outputs.principalId
    workspaceId: monitoring.outputs.workspaceId
  }
}

module cosmos 'modules/cosmos.bicep' = if (storageBackend == 'cosmos') {
  name: 'cosmos'
  scope: group
  params: {
    name: 'cosmos-bot-${token}'
    location: location
    tags: tags
    mode: cosmosMode
    maxThroughput: cosmosMaxThroughput == 0 ? 1000 : cosmosMaxThroughput
    appPrincipalId: identity.outputs.principalId
    developerPrincipalId: developerPrincipalId
    workspaceId: monitoring.outputs.workspaceId
  }
}

module storage 'modules/storage.bicep' = if (storageBackend == 'blob') {
  name: 'storage'
  scope: group
  params: {
    name: 'stbot${token}'
    location: location
    tags: tags
    sku: storageSku
    expireConversationDays: expireConversationDays
    expirePrivateDays: expirePrivateDays
    expireUserDays: expireUserDays
    appPrincipalId: identity.outputs.principalId
    developerPrincipalId: developerPrincipalId
    workspaceId: monitoring.outputs.workspaceId
  }
}

module apps 'modules/environment.bicep' = {
  name: 'environment'
  scope: group
  params: {
    name: 'cae-bot-${token}'
    location: location
    tags: tags
    workspaceId: monitoring.outputs.workspaceId
  }
}

module bot 'modules/bot.bicep' = {
  name: 'bot'
  scope: group
  params: {
    name: 'bot-${botToken}'
    tags: tags
    endpoint: 'https://${appName}.${apps.outputs.defaultDomain}/api/messages'
    appType: botAppType
    appId: ownRegistration ? botAppId : identity.outputs.clientId
    identityId: identity.outputs.id
    instrumentationKey: monitoring.outputs.instrumentationKey
    workspaceId: monitoring.outputs.workspaceId
  }
}

// azd keeps these as variables of its environment; app.parameters.json hands them to app.bicep.
output AZURE_RESOURCE_GROUP string = group.name
output AZURE_CONTAINER_REGISTRY_ENDPOINT string = registry.outputs.loginServer
output AZURE_CONTAINER_ENVIRONMENT_NAME string = apps.outputs.name
output BOT_APP_NAME string = appName
output BOT_IDENTITY_NAME string = identity.outputs.name
output BOT_CLIENT_ID string = ownRegistration ? botAppId : identity.outputs.clientId
output BOT_APPLICATION_INSIGHTS_NAME string = monitoring.outputs.applicationInsightsName
output BOT_COSMOS_ENDPOINT string = storageBackend == 'cosmos' ? cosmos.outputs.endpoint : ''
output BOT_COSMOS_DATABASE string = storageBackend == 'cosmos' ? cosmos.outputs.database : ''
output BOT_COSMOS_CONTAINER string = storageBackend == 'cosmos' ? cosmos.outputs.container : ''
output BOT_BLOB_ACCOUNT_URL string = storageBackend == 'blob' ? storage.outputs.url : ''
output BOT_BLOB_CONTAINER string = storageBackend == 'blob' ? storage.outputs.container : ''
