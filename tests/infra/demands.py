"""The values that the deployment must have, as data: roles, API versions, and what is fixed for good reason."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

# https://learn.microsoft.com/azure/role-based-access-control/built-in-roles and, for Cosmos DB's own roles,
# https://learn.microsoft.com/azure/cosmos-db/reference-data-plane-security
ACR_PULL: Final = "7f951dda-4ed3-4680-a7ca-43fe172d538d"
BLOB_DATA_CONTRIBUTOR: Final = "ba92f5b4-2d11-453d-a403-e96b0029c9fe"
COSMOS_DATA_CONTRIBUTOR: Final = "00000000-0000-0000-0000-000000000002"
API_VERSIONS: Final = {
    "Microsoft.App/containerApps": "2026-01-01",
    "Microsoft.App/managedEnvironments": "2026-01-01",
    "Microsoft.Authorization/roleAssignments": "2022-04-01",
    "Microsoft.BotService/botServices": "2022-09-15",
    "Microsoft.ContainerRegistry/registries": "2025-04-01",
    "Microsoft.DocumentDB/databaseAccounts": "2025-04-15",
    "Microsoft.Insights/components": "2020-02-02",
    "Microsoft.Insights/diagnosticSettings": "2021-05-01-preview",
    "Microsoft.ManagedIdentity/userAssignedIdentities": "2024-11-30",
    "Microsoft.OperationalInsights/workspaces": "2025-07-01",
    "Microsoft.Resources/resourceGroups": "2025-04-01",
    "Microsoft.Storage/storageAccounts": "2025-06-01",
}
STOP_MARGIN: Final = 10  # seconds, to close the clients after the turns
EXPIRES: Final = {
    "conversations": ("EXPIRE_CONVERSATION_DAYS", "EXPIRE_PRIVATE_DAYS"),
    "users": ("EXPIRE_USER_DAYS",),
}
WATCHED: Final = {
    "Microsoft.App/managedEnvironments",
    "Microsoft.BotService/botServices",
    "Microsoft.ContainerRegistry/registries",
    "Microsoft.DocumentDB/databaseAccounts",
    "Microsoft.Storage/storageAccounts/blobServices",
}
MUST_BE: Final[Mapping[str, Mapping[str, Any]]] = {
    "Microsoft.App/containerApps": {
        "identity.type": "UserAssigned",
        "properties.configuration.activeRevisionsMode": "Single",
        "properties.configuration.ingress.allowInsecure": False,
        "properties.configuration.ingress.external": True,
    },
    "Microsoft.App/managedEnvironments": {"properties.appLogsConfiguration.destination": "azure-monitor"},
    "Microsoft.BotService/botServices": {"properties.publicNetworkAccess": "Enabled"},
    "Microsoft.ContainerRegistry/registries": {
        "properties.adminUserEnabled": False,
        "properties.anonymousPullEnabled": False,
    },
    "Microsoft.DocumentDB/databaseAccounts": {
        "properties.consistencyPolicy.defaultConsistencyLevel": "Strong",
        "properties.disableLocalAuth": True,
        "properties.disableKeyBasedMetadataWriteAccess": True,
        "properties.enableMultipleWriteLocations": False,
        "properties.minimalTlsVersion": "Tls12",
        "properties.publicNetworkAccess": "Enabled",  # the app has no private network: Entra roles are the gate
    },
    "Microsoft.DocumentDB/databaseAccounts/sqlDatabases/containers": {
        "properties.resource.partitionKey.paths": ["/id"],
        "properties.resource.indexingPolicy.indexingMode": "none",
        "properties.resource.defaultTtl": -1,
    },
    "Microsoft.Storage/storageAccounts": {
        "properties.allowSharedKeyAccess": False,
        "properties.allowBlobPublicAccess": False,
        "properties.supportsHttpsTrafficOnly": True,
        "properties.minimumTlsVersion": "TLS1_2",
        "properties.publicNetworkAccess": "Enabled",
        "properties.networkAcls.defaultAction": "Allow",
    },
    "Microsoft.Storage/storageAccounts/blobServices/containers": {"properties.publicAccess": "None"},
}
