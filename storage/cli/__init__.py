"""`python -m storage`: look at the documents, hand them out, erase a person, keep old ones up to date.

It works on the storage that the bot's settings name, while the bot runs. Nothing here knows the bot: a document is
its JSON, and beside it the record that turns leave in it (`storage.cli.record`).
"""
