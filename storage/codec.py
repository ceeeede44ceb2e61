"""State as JSON text, and objects as JSON: what may be stored, and how it is spelled.

Objects are spelled as the stock storages spell them, `{"py/object": "package.module.Class", ...attributes}`, so that
documents move over and back. What the stock codec (jsonpickle) adds to that can run code when it is read; here a
document only ever names a class that this program has registered, and nothing else.
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Mapping
from functools import partial
from typing import Any, Final

import jiter

from storage.contract import JsonObject
from storage.decoder import Decoder
from storage.encoder import Encoder
from storage.errors import AmbiguousStateError, StateDecodeError, StateEncodeError
from storage.models import Model, model_of
from storage.numbering import Ambiguous
from storage.references import has_references, resolve
from storage.sdk_types import import_dialogs, sdk_type
from storage.spelling import TAG, Misfit, Undecoded, Unregistered, tag_of

E_TAG: Final = "e_tag"
_PLACE: Final = 200  # characters of a place in an error
_log: Final = logging.getLogger(__name__)


class Codec:
    """Turns state into JSON values and back. One for each storage: it knows the classes that may occur.

    Args:
        largest: the largest integer that the service keeps exactly.
    """

    def __init__(self, largest: int = 2**63 - 1) -> None:
        self._largest = largest
        self._by_name: dict[str, Model] = {}
        self._by_class: dict[type, Model] = {}

    def register(self, cls: type, *former_names: str) -> None:
        """Allow objects of `cls` in state: a dataclass, an enumeration, or a class whose state is its `__dict__`.

        The dataclasses and enumerations in its annotations are registered with it. Objects stored under one of
        `former_names` (as `old_package.module.Class`), or under one in the class's own `FORMER_NAMES`, are read as
        `cls` too. A dataclass is checked field by field against its annotations, when it is written and when it is
        read; one with a field `schema_version` is upgraded by its `UPGRADES` (see `storage.models`).

        Raises TypeError for a class whose objects carry their state elsewhere (built-in types), whose versions are
        incomplete, or where a former name of one class is the name of another.
        """
        known = self._by_class.get(cls)
        if known and not former_names:
            return
        model = known or model_of(cls)
        names = (model.tag, *model.former_names, *former_names)
        for name in names:
            other = self._by_name.get(name)
            if other is not None and other.tag != model.tag:
                former, present = (other, model) if name == model.tag else (model, other)
                raise TypeError(f"{name!r} cannot be a former name of {former.tag}: {present.tag} is stored under it")
        replaced = self._by_name.get(model.tag)
        if replaced is not None:  # the same class of a module that was loaded again
            self._by_class.pop(replaced.cls, None)
        self._by_name |= dict.fromkeys(names, model)
        self._by_class[cls] = model
        for named in model.named:
            self.register(named)

    def register_dialogs(self) -> None:
        """Allow what botbuilder-dialogs keeps of dialogs, in a program that has not imported it itself.

        Raises ImportError where it is not installed.
        """
        import_dialogs()

    def encode(self, value: object, key: str, where: str = "") -> Any:
        """Return `value` as JSON values of its own, nothing shared with the input.

        Raises `StateEncodeError` with the place of the first value that cannot be stored.
        """
        try:
            return Encoder(self._model_of, self._largest).encode(value)
        except Misfit as misfit:
            root = where or ("" if isinstance(value, dict) else type(value).__name__)
            raise StateEncodeError(
                key, _shortened(misfit.where(root)) or "the top", misfit.reason
            ) from misfit.__cause__

    def decode(self, value: Any, key: str, where: str = "", *, keep_unknown: bool = False) -> Any:
        """Return what `encode` was given. With `keep_unknown`, a value with an unregistered class stays `Undecoded`.

        Raises `StateDecodeError` with the place of an object whose class is not registered or does not fit.
        """
        try:
            return Decoder(self._model_named, self._largest).decode(value)
        except Misfit as misfit:
            if keep_unknown and isinstance(misfit, Unregistered):
                return Undecoded(value)
            place = misfit.where(where or _root(value))
            raise StateDecodeError(key, place, misfit.reason, misfit.told) from misfit.__cause__
        except RecursionError:
            raise StateDecodeError(key, where, "is nested too deeply") from None

    def _model_named(self, tag: str) -> Model | None:
        model = self._by_name.get(tag)
        if model is None:
            found = sdk_type(tag)
            model = self._model_of(found) if found else None
        return model

    def _model_of(self, cls: type) -> Model | None:
        model = self._by_class.get(cls)
        if model is None and sdk_type(tag_of(cls)) is cls:
            model = self._by_class[cls] = self._by_name[tag_of(cls)] = model_of(cls)
        return model


def dumps(value: Mapping[str, Any], key: str) -> bytes:
    """Return a document's JSON text in UTF-8. Raises `StateEncodeError` for what `loads` would not return as it is."""
    if not isinstance(value, Mapping):
        raise StateEncodeError(key, "the document", f"is not a JSON object but {type(value).__name__}")
    if E_TAG in value:
        raise StateEncodeError(key, E_TAG, "is where the SDK keeps the ETag: state of that name would be lost")
    try:
        return json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode()
    except (TypeError, ValueError, RecursionError) as error:
        raise StateEncodeError(key, "the document", f"is not plain JSON: {error}") from error


def loads(text: bytes | str, key: str, jsonpickle: int | None = None) -> JsonObject:
    """Return a stored document's value. Raises `StateDecodeError` where the text is not a JSON object.

    So also for what JSON leaves open: a name twice in one object, half a surrogate pair, nesting without end; and for
    references to shared values that depend on which release of `jsonpickle` wrote them, unless it is said.
    """
    try:
        data = text.encode() if isinstance(text, str) else text
        value = jiter.from_json(data, allow_inf_nan=False, catch_duplicate_keys=True, cache_mode="keys")
    except ValueError as error:
        reason, _, place = str(error).partition(" at line ")
        raise StateDecodeError(key, f"line {place}" if place else "", f"is not JSON: {reason}") from error
    # A slash may be escaped. A letter never is: then the decoder refuses the reference.
    return _document(value, key, jsonpickle, b"py/id" in data or b"py\\" in data)


def as_object(value: Any, key: str, jsonpickle: int | None = None) -> JsonObject:
    """Return a document that the service's SDK has parsed, as `loads` does."""
    return _document(value, key, jsonpickle, has_references(value))


def _document(value: Any, key: str, jsonpickle: int | None, has_references: bool) -> JsonObject:
    """Check that the document is an object; put shared values into their places; leave the ETag out.

    The stock storages write into `e_tag` the ETag that they had read, which is no state.
    """
    if not isinstance(value, dict):
        raise StateDecodeError(key, "", f"is not a JSON object but {type(value).__name__}")
    document: JsonObject = value
    if has_references:
        try:
            document = resolve(document, jsonpickle, partial(_warn_of_two_meanings, key))
        except Misfit as misfit:
            kind = AmbiguousStateError if isinstance(misfit, Ambiguous) else StateDecodeError
            raise kind(key, misfit.where(""), misfit.reason) from None
        except RecursionError:
            raise StateDecodeError(key, "", "is nested too deeply") from None
    document.pop(E_TAG, None)
    return document


def _warn_of_two_meanings(key: str) -> None:
    # Keys name people, so the log gets a hash.
    hashed = hashlib.sha256(key.encode(errors="replace")).hexdigest()[:12]
    _log.warning(
        "document=%s refers to values by numbers that jsonpickle 1 means otherwise; read as later ones wrote it: "
        "set STOCK_JSONPICKLE to 1 or 3, and see `python -m storage check`",
        hashed,
    )


def _shortened(place: str) -> str:
    """The first steps of a place, none of them cut where that can be."""
    if len(place) <= _PLACE:
        return place
    start = place[: _PLACE + 1]
    end = max(start.rfind("["), start.rfind("."))
    return f"{place[: end if end > 0 else _PLACE]}..."


def _root(value: Any) -> str:
    """The name of an object that is a whole document."""
    tag = value.get(TAG) if isinstance(value, dict) else None
    return tag.rpartition(".")[2] if isinstance(tag, str) else ""
