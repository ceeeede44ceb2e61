"""The turn transaction: `TurnTransaction` around a bot, and what a bot may ask of it.

Read `middleware` first, then `snapshot` (how a turn begins), `commit` (how it ends), `conversation` (what it leaves).
"""
