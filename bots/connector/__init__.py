"""How replies leave: the SDK's connector clients, on one pool of connections that a slow channel cannot exhaust."""
