"""Azure Monitor as the place that OpenTelemetry tells. Any other exporter: `opentelemetry-instrument python app.py`."""

from __future__ import annotations

import logging
from typing import Final

_TELLS_URLS: Final = ("azure_sdk", "httpx", "httpx2", "requests", "urllib", "urllib3")  # users' ids are in them
_log = logging.getLogger(__name__)


def tell_azure_monitor(connection: str) -> None:
    """Have spans and metrics sent to where the connection string says; warn where its package is not there."""
    try:
        from azure.monitor.opentelemetry import configure_azure_monitor
    except ImportError:
        _log.warning(
            "APPLICATIONINSIGHTS_CONNECTION_STRING is set, and nothing is told: pip install azure-monitor-opentelemetry"
        )
        return
    configure_azure_monitor(
        connection_string=connection,
        disable_logging=True,  # it would send the texts of exceptions; the log goes where the container's output goes
        sampling_ratio=1.0,  # its own default, 5 traces a second, chooses span by span, and leaves parts of turns
        instrumentation_options={library: {"enabled": False} for library in _TELLS_URLS},
    )
