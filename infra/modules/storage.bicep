// State in Blob Storage: one container, reached with Entra identities only.
param name string
param location string
param tags object

@allowed([
  'Standard_ZRS'
  'Standard_LRS'
])
param sku string
param expireConversationDays int
param expirePrivateDays int
param expireUserDays int
param appPrincipalId string
param developerPrincipalId string
param workspaceId string

// Private state lies under its conversation's name, and a rule knows no other: it waits for the later of the two.
var forgetsConversations = expireConversationDays > 0 && expirePrivateDays > 0
var conversationDays = expireConversationDays > expirePrivateDays ? expireConversationDays : expirePrivateDays

var containerName = 'bot-state'
var blobDataContributor = 'ba92f5b4-2d11-453d-a403-e96b0029c9fe'

resource account 'Microsoft.Storage/storageAccounts@2025-06-01' = {
  // checkov:skip=CKV_AZURE_35: the addresses that Container Apps call from change; there are no keys, only Entra roles
  // checkov:skip=CKV_AZURE_59: a private endpoint needs a virtual network; there are no keys, only Entra roles
  // checkov:skip=CKV_AZURE_206: three zones or racks hold it; a second region would lag behind what a turn has committed
  name: name
  location: location
  tags: tags
  kind: 'StorageV2'
  sku: {
    name: sku
  }
  properties: {
    accessTier: 'Hot'
    allowSharedKeyAccess: false
    defaultToOAuthAuthentication: true
    allowBlobPublicAccess: false
    allowCrossTenantReplication: false
    isLocalUserEnabled: false
    supportsHttpsTrafficOnly: true
    minimumTlsVersion: 'TLS1_2'
    publicNetworkAccess: 'Enabled'
    networkAcls: {
      defaultAction: 'Allow'
      bypass: 'AzureServices'
    }
  }
}

// No soft delete of blobs: every turn overwrites one, and each version would be kept and paid.
resource blobs 'Microsoft.Storage/storageAccounts/blobServices@2025-06-01' = {
  parent: account
  name: 'default'
  properties: {
    deleteRetentionPolicy: {
      enabled: false
    }
    containerDeleteRetentionPolicy: {
      enabled: true
      days: 7
    }
  }
}

resource container 'Microsoft.Storage/storageAccounts/blobServices/containers@2025-06-01' = {
  parent: blobs
  name: containerName
  properties: {
    publicAccess: 'None'
  }
}

// The bot treats an expired document as absent; these rules free its space a day later. They are there also when
// nothing expires, and off: a rule that is left out of a deployment would go on deleting. The names are those that
// storage/keys.py gives the documents of the channels that the bot has, the second form where an id has odd characters.
resource lifecycle 'Microsoft.Storage/storageAccounts/managementPolicies@2025-06-01' = {
  parent: account
  name: 'default'
  dependsOn: [
    blobs
  ]
  properties: {
    policy: {
      rules: [
        {
          name: 'forget-conversations'
          type: 'Lifecycle'
          enabled: forgetsConversations
          definition: {
            filters: {
              blobTypes: [
                'blockBlob'
              ]
              prefixMatch: [
                '${containerName}/msteams/conversations/'
                '${containerName}/webchat/conversations/'
                '${containerName}/directline/conversations/'
                '${containerName}/~msteams~2Fconversations~2F'
                '${containerName}/~webchat~2Fconversations~2F'
                '${containerName}/~directline~2Fconversations~2F'
              ]
            }
            actions: {
              baseBlob: {
                delete: {
                  daysAfterModificationGreaterThan: conversationDays + 1
                }
              }
            }
          }
        }
        {
          name: 'forget-users'
          type: 'Lifecycle'
          enabled: expireUserDays > 0
          definition: {
            filters: {
              blobTypes: [
                'blockBlob'
              ]
              prefixMatch: [
                '${containerName}/msteams/users/'
                '${containerName}/webchat/users/'
                '${containerName}/directline/users/'
                '${containerName}/~msteams~2Fusers~2F'
                '${containerName}/~webchat~2Fusers~2F'
                '${containerName}/~directline~2Fusers~2F'
              ]
            }
            actions: {
              baseBlob: {
                delete: {
                  daysAfterModificationGreaterThan: expireUserDays + 1
                }
              }
            }
          }
        }
      ]
    }
  }
}

resource appData 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  scope: container
  name: guid(container.id, appPrincipalId, blobDataContributor)
  properties: {
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', blobDataContributor)
    principalId: appPrincipalId
    principalType: 'ServicePrincipal'
  }
}

resource developerData 'Microsoft.Authorization/roleAssignments@2022-04-01' = if (!empty(developerPrincipalId)) {
  scope: container
  name: guid(container.id, developerPrincipalId, blobDataContributor)
  properties: {
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', blobDataContributor)
    principalId: developerPrincipalId
    principalType: 'User'
  }
}

resource diagnostics 'Microsoft.Insights/diagnosticSettings@2021-05-01-preview' = {
  scope: blobs
  name: 'log-analytics'
  properties: {
    workspaceId: workspaceId
    logs: [
      {
        category: 'StorageDelete'
        enabled: true
      }
    ]
    metrics: [
      {
        category: 'Transaction'
        enabled: true
      }
    ]
  }
}

output url string = account.properties.primaryEndpoints.blob
output container string = container.name
