// The bot's container app: a new revision with every `azd deploy`, its image and its settings together.
// azd deploys this file for the service `app` of azure.yaml once the image is in the registry.
// All parameters are texts: azd fills app.parameters.json by substitution, and converts nothing. What may be in them is
// checked by main.bicep and preflight.py, before anything is deployed.
@minLength(1)
param environmentName string
@minLength(1)
param location string

@description('The image in the registry, as azd names it.')
@minLength(1)
param imageName string

@description('Replicas that always run. Two, so that one may fail or be replaced.')
param minReplicas string = '2'

@description('Replicas at most.')
param maxReplicas string = '10'

@allowed([
  'cosmos'
  'blob'
])
param storageBackend string = 'cosmos'

@allowed([
  'UserAssignedMSI'
  'SingleTenant'
])
param botAppType string = 'UserAssignedMSI'

@description('The password of your app registration; for SingleTenant only, and then the one secret there is.')
@secure()
param botAppPassword string = ''

@description('Days after its last use that a conversation is forgotten; 0: never. The next two likewise.')
param expireConversationDays string = '0'
param expirePrivateDays string = '0'
param expireUserDays string = '0'

// What main.bicep made, by the outputs' names.
@minLength(1)
param appName string
@minLength(1)
param clientId string
@minLength(1)
param identityName string
@minLength(1)
param environmentResourceName string
@minLength(1)
param registryServer string
@minLength(1)
param applicationInsightsName string
param cosmosEndpoint string = ''
param cosmosDatabase string = ''
param cosmosContainer string = ''
param blobAccountUrl string = ''
param blobContainer string = ''

var hasPassword = botAppType == 'SingleTenant'

var port = 3978
// The app gives the turns that run 15 s when it is told to stop (SHUTDOWN_SECONDS), and then closes its clients.
var stopSeconds = 30

var common = [
  {
    name: 'HOST'
    value: '0.0.0.0'
  }
  {
    name: 'PORT'
    value: string(port)
  }
  {
    name: 'MicrosoftAppType'
    value: botAppType
  }
  {
    name: 'MicrosoftAppId'
    value: clientId
  }
  {
    name: 'MicrosoftAppTenantId'
    value: tenant().tenantId
  }
  {
    name: 'STATE_STORAGE'
    value: storageBackend
  }
  {
    name: 'STORAGE_CREATE'
    value: 'false'
  }
  {
    name: 'AZURE_CLIENT_ID'
    value: identity.properties.clientId
  }
  {
    // Not a key to data: who has it may add telemetry, nothing else.
    name: 'APPLICATIONINSIGHTS_CONNECTION_STRING'
    value: insights.properties.ConnectionString
  }
  {
    name: 'OTEL_SERVICE_NAME'
    value: appName
  }
]
var onCosmos = [
  {
    name: 'COSMOS_ENDPOINT'
    value: cosmosEndpoint
  }
  {
    name: 'COSMOS_DATABASE'
    value: cosmosDatabase
  }
  {
    name: 'COSMOS_CONTAINER'
    value: cosmosContainer
  }
]
var onBlob = [
  {
    name: 'BLOB_ACCOUNT_URL'
    value: blobAccountUrl
  }
  {
    name: 'BLOB_CONTAINER'
    value: blobContainer
  }
]
var expiry = concat(expireConversationDays == '0' ? [] : [
  {
    name: 'EXPIRE_CONVERSATION_DAYS'
    value: expireConversationDays
  }
], expirePrivateDays == '0' ? [] : [
  {
    name: 'EXPIRE_PRIVATE_DAYS'
    value: expirePrivateDays
  }
], expireUserDays == '0' ? [] : [
  {
    name: 'EXPIRE_USER_DAYS'
    value: expireUserDays
  }
])
var ofSingleTenant = [
  {
    name: 'MicrosoftAppPassword'
    secretRef: 'bot-app-password'
  }
]

resource identity 'Microsoft.ManagedIdentity/userAssignedIdentities@2024-11-30' existing = {
  name: identityName
}

resource apps 'Microsoft.App/managedEnvironments@2026-01-01' existing = {
  name: environmentResourceName
}

resource insights 'Microsoft.Insights/components@2020-02-02' existing = {
  name: applicationInsightsName
}

resource app 'Microsoft.App/containerApps@2026-01-01' = {
  name: appName
  location: location
  tags: {
    'azd-env-name': environmentName
    'azd-service-name': 'app'
  }
  identity: {
    type: 'UserAssigned'
    userAssignedIdentities: {
      '${identity.id}': {}
    }
  }
  properties: {
    environmentId: apps.id
    workloadProfileName: 'Consumption'
    configuration: {
      activeRevisionsMode: 'Single'
      maxInactiveRevisions: 10
      ingress: {
        external: true
        allowInsecure: false
        targetPort: port
        transport: 'http'
      }
      registries: [
        {
          server: registryServer
          identity: identity.id
        }
      ]
      secrets: hasPassword ? [
        {
          name: 'bot-app-password'
          value: botAppPassword
        }
      ] : []
    }
    template: {
      terminationGracePeriodSeconds: stopSeconds
      containers: [
        {
          name: 'bot'
          image: imageName
          resources: {
            cpu: json('0.5')
            memory: '1Gi'
          }
          env: concat(common, expiry, storageBackend == 'cosmos' ? onCosmos : onBlob, hasPassword ? ofSingleTenant : [])
          // Liveness leaves the storage out: restarting the bot does not mend a storage that is away.
          probes: [
            {
              type: 'Startup'
              httpGet: {
                path: '/healthz'
                port: port
              }
              periodSeconds: 2
              timeoutSeconds: 2
              failureThreshold: 30
            }
            {
              type: 'Liveness'
              httpGet: {
                path: '/healthz'
                port: port
              }
              periodSeconds: 10
              timeoutSeconds: 5
              failureThreshold: 3
            }
            {
              type: 'Readiness'
              httpGet: {
                path: '/readyz'
                port: port
              }
              periodSeconds: 10
              timeoutSeconds: 10
              failureThreshold: 3
            }
          ]
        }
      ]
      scale: {
        minReplicas: int(minReplicas)
        maxReplicas: int(maxReplicas)
        // A second: Azure divides the requests of the last 15 s by 15. At the 14 s that a delivery may take these are
        // 196 turns at once; a replica takes 200 of one channel, and answers 503 to the next.
        rules: [
          {
            name: 'concurrent-requests'
            http: {
              metadata: {
                concurrentRequests: '14'
              }
            }
          }
        ]
      }
    }
  }
}

output SERVICE_APP_NAME string = app.name
output SERVICE_APP_URI string = 'https://${app.properties.configuration.ingress.fqdn}'
