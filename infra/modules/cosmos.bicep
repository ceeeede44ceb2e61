// State in Cosmos DB: one container of point reads and conditional writes, reached with Entra identities only.
param name string
param location string
param tags object

@allowed([
  'serverless'
  'autoscale'
])
param mode string
param maxThroughput int
param appPrincipalId string
param developerPrincipalId string
param workspaceId string

var databaseName = 'bot-state'
var containerName = 'state'
// Built-in: Cosmos DB Data Contributor. Its metadata right does not reach the account when it is given for a container,
// and the SDK reads the account when it starts: hence the second role, which can read metadata and nothing else.
var dataContributor = '00000000-0000-0000-0000-000000000002'

resource account 'Microsoft.DocumentDB/databaseAccounts@2025-04-15' = {
  // checkov:skip=CKV_AZURE_101: a private endpoint needs a virtual network; there are no keys, only two Entra identities
  name: name
  location: location
  tags: tags
  kind: 'GlobalDocumentDB'
  properties: {
    databaseAccountOfferType: 'Standard'
    // The transaction of a turn needs every replica to read the last version: Session would not do.
    consistencyPolicy: {
      defaultConsistencyLevel: 'Strong'
    }
    locations: [
      {
        locationName: location
        failoverPriority: 0
        isZoneRedundant: false
      }
    ]
    capabilities: mode == 'serverless' ? [
      {
        name: 'EnableServerless'
      }
    ] : []
    enableMultipleWriteLocations: false
    disableLocalAuth: true
    disableKeyBasedMetadataWriteAccess: true
    minimalTlsVersion: 'Tls12'
    publicNetworkAccess: 'Enabled'
    backupPolicy: {
      type: 'Continuous'
      continuousModeProperties: {
        tier: 'Continuous7Days'
      }
    }
  }
}

resource database 'Microsoft.DocumentDB/databaseAccounts/sqlDatabases@2025-04-15' = {
  parent: account
  name: databaseName
  properties: {
    resource: {
      id: databaseName
    }
  }
}

resource container 'Microsoft.DocumentDB/databaseAccounts/sqlDatabases/containers@2025-04-15' = {
  parent: database
  name: containerName
  properties: {
    resource: {
      id: containerName
      partitionKey: {
        paths: [
          '/id'
        ]
        kind: 'Hash'
        version: 2
      }
      // Documents are read by id: an index would cost RU on every write and be read by nobody.
      indexingPolicy: {
        indexingMode: 'none'
        automatic: false
      }
      // On, and nothing expires that does not carry a ttl of its own.
      defaultTtl: -1
    }
    options: mode == 'autoscale' ? {
      autoscaleSettings: {
        maxThroughput: maxThroughput
      }
    } : {}
  }
}

// One after the other, the container first: an account answers 412 or 409 to changes that come at the same time.
resource metadataReader 'Microsoft.DocumentDB/databaseAccounts/sqlRoleDefinitions@2025-04-15' = {
  parent: account
  name: guid(account.id, 'metadata-reader')
  dependsOn: [
    container
  ]
  properties: {
    roleName: 'Account metadata reader'
    type: 'CustomRole'
    assignableScopes: [
      account.id
    ]
    permissions: [
      {
        dataActions: [
          'Microsoft.DocumentDB/databaseAccounts/readMetadata'
        ]
      }
    ]
  }
}

resource appData 'Microsoft.DocumentDB/databaseAccounts/sqlRoleAssignments@2025-04-15' = {
  parent: account
  name: guid(container.id, appPrincipalId, dataContributor)
  dependsOn: [
    metadataReader
  ]
  properties: {
    roleDefinitionId: '${account.id}/sqlRoleDefinitions/${dataContributor}'
    principalId: appPrincipalId
    scope: '${account.id}/dbs/${database.name}/colls/${container.name}'
  }
}

resource appMetadata 'Microsoft.DocumentDB/databaseAccounts/sqlRoleAssignments@2025-04-15' = {
  parent: account
  name: guid(account.id, appPrincipalId, 'metadata-reader')
  dependsOn: [
    appData
  ]
  properties: {
    roleDefinitionId: metadataReader.id
    principalId: appPrincipalId
    scope: account.id
  }
}

resource developerData 'Microsoft.DocumentDB/databaseAccounts/sqlRoleAssignments@2025-04-15' = if (!empty(developerPrincipalId)) {
  parent: account
  name: guid(container.id, developerPrincipalId, dataContributor)
  dependsOn: [
    appMetadata
  ]
  properties: {
    roleDefinitionId: '${account.id}/sqlRoleDefinitions/${dataContributor}'
    principalId: developerPrincipalId
    scope: '${account.id}/dbs/${database.name}/colls/${container.name}'
  }
}

resource developerMetadata 'Microsoft.DocumentDB/databaseAccounts/sqlRoleAssignments@2025-04-15' = if (!empty(developerPrincipalId)) {
  parent: account
  name: guid(account.id, developerPrincipalId, 'metadata-reader')
  dependsOn: [
    developerData
  ]
  properties: {
    roleDefinitionId: metadataReader.id
    principalId: developerPrincipalId
    scope: account.id
  }
}

// Changes to the account, and counts of requests by status; not a line a request: that would cost more than the requests.
resource diagnostics 'Microsoft.Insights/diagnosticSettings@2021-05-01-preview' = {
  scope: account
  name: 'log-analytics'
  properties: {
    workspaceId: workspaceId
    logAnalyticsDestinationType: 'Dedicated'
    logs: [
      {
        category: 'ControlPlaneRequests'
        enabled: true
      }
    ]
    metrics: [
      {
        category: 'Requests'
        enabled: true
      }
    ]
  }
}

output endpoint string = account.properties.documentEndpoint
output database string = database.name
output container string = container.name
