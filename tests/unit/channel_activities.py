"""Activities in the shapes in which channels send them, deserialised as the SDK's adapters do it."""

from __future__ import annotations

from typing import Any

from botbuilder.schema import Activity

BOT = "28:5f8bdeb2-0e0f-4d3a-9a0e-6f4c1d1a2b3c"
ADA = "29:1AdaAdaAdaAdaAdaAda"
GRACE = "29:1GraceGraceGraceGrace"


def emulator_message(text: str | None = "hi", **changes: Any) -> Activity:
    """Return a message as the Bot Framework Emulator sends it; a change to None leaves the field out."""
    return received(
        {
            "type": "message",
            "id": "9f2b7d10-c791-11f0-a1b2-8f3c2d1e0f4a",
            "channelId": "emulator",
            "serviceUrl": "http://localhost:52100",
            "conversation": {"id": "8c3d3f60-c791-11f0-8e9d-0d5f3f8f3a11|livechat"},
            "from": {"id": "7b0a5a6f-1f0e-4b62-9d8e-3c4b5a697887", "name": "User", "role": "user"},
            "recipient": {"id": "8b1f2c90-c791-11f0-a1b2-8f3c2d1e0f4a", "name": "Bot", "role": "bot"},
            "locale": "en-US",
            "textFormat": "plain",
            "text": text,
            "timestamp": "2026-03-29T12:30:00.123Z",
            "localTimestamp": "2026-03-29T14:30:00+02:00",
            "localTimezone": "Europe/Berlin",
            "entities": [{"type": "ClientCapabilities", "requiresBotState": True, "supportsTts": True}],
            "channelData": {
                "clientActivityID": "1774787400123abc",
                "clientTimestamp": "2026-03-29T12:30:00.123Z",
            },
        },
        changes,
    )


def teams_message(text: str | None, *mentions: dict[str, Any], **changes: Any) -> Activity:
    """Return a message of Ada's in a Teams group chat with a bot called State Bot."""
    return received(
        {
            "type": "message",
            "id": "1774787400456",
            "channelId": "msteams",
            "serviceUrl": "https://smba.trafficmanager.net/emea/",
            "conversation": {"id": "19:a1b2c3@thread.v2", "conversationType": "groupChat", "isGroup": True},
            "from": {
                "id": ADA,
                "name": "Ada Lovelace",
                "aadObjectId": "4d0f2c1e-0000-0000-0000-000000000001",
            },
            "recipient": {"id": BOT, "name": "State Bot"},
            "textFormat": "plain",
            "text": text,
            "attachments": [{"contentType": "text/html", "content": "<div><p>the same as HTML</p></div>"}],
            "timestamp": "2026-03-29T12:30:00.4567890Z",
            "localTimestamp": "2026-03-29T14:30:00.4567890+02:00",
            "localTimezone": "Europe/Berlin",
            "entities": [
                *mentions,
                {"type": "clientInfo", "locale": "en-GB", "country": "GB", "platform": "Windows"},
            ],
            "channelData": {"tenant": {"id": "4d0f2c1e-0000-0000-0000-000000000000"}},
        },
        changes,
    )


def direct_line_message(text: str | None = "hi", **changes: Any) -> Activity:
    """Return a message as a Direct Line client sends it that fills in only what it must."""
    return received(
        {
            "type": "message",
            "id": "FxT1a2b3c4d|0000001",
            "channelId": "directline",
            "serviceUrl": "https://directline.botframework.com/",
            "conversation": {"id": "FxT1a2b3c4d"},
            "from": {"id": "dl_user"},
            "recipient": {"id": "state-bot@kA1b2C3d4", "name": "state-bot"},
            "text": text,
            "timestamp": "2026-03-29T12:30:00.1234567Z",
        },
        changes,
    )


def web_chat_members_added(*ids: str | None, **changes: Any) -> Activity:
    """Return the conversationUpdate of Web Chat for members with these ids; None is a member without any."""
    return received(
        {
            "type": "conversationUpdate",
            "id": "4TqYx1",
            "channelId": "webchat",
            "serviceUrl": "https://webchat.botframework.com/",
            "conversation": {"id": "4TqYx1a2b3c"},
            "from": {"id": "4TqYx1a2b3c"},
            "recipient": {"id": "state-bot@kA1b2C3d4", "name": "state-bot"},
            "timestamp": "2026-03-29T12:30:00.1234567Z",
            "membersAdded": [{"id": member} if member else {"name": "nobody"} for member in ids],
        },
        changes,
    )


def mention(account_id: str, name: str, text: str | None = None) -> dict[str, Any]:
    """Return a mention entity as Teams sends it; its text is `<at>name</at>` unless another is given."""
    text = f"<at>{name}</at>" if text is None else text
    return {"type": "mention", "mentioned": {"id": account_id, "name": name}, "text": text}


def received(body: dict[str, Any], changes: dict[str, Any] | None = None) -> Activity:
    """Return the activity for a JSON body, of which a change to None removes a field."""
    changed = {**body, **(changes or {})}
    return Activity().deserialize({name: value for name, value in changed.items() if value is not None})
