"""The bots people talk to."""

from bots.state_management_bot import StateManagementBot

__all__ = ["StateManagementBot"]
