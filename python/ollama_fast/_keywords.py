"""
JSON schemas to what Ollama passes on to a model.

The server keeps seven keywords of a property and drops the rest without a word, so the rest is said in words in the
description, and references are replaced by what they refer to.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

_FORMATS = {
    "date": "date as YYYY-MM-DD",
    "date-time": "date and time as YYYY-MM-DDTHH:MM:SS, with Z or +HH:MM if the zone is known",
    "time": "time as HH:MM:SS",
    "duration": "duration as in ISO 8601, such as PT1H30M",
    "uuid": "UUID",
    "path": "path",
    "file-path": "path of a file that exists",
    "directory-path": "path of a folder that exists",
    "binary": "text, taken as bytes in UTF-8",
    "base64": "bytes as base64",
    "base64url": "bytes as URL-safe base64",
    "uri": "URL",
    "email": "email address",
    "ipv4": "IPv4 address",
    "ipv6": "IPv6 address",
    "regex": "regular expression",
}
TYPES: Mapping[type, str] = {
    str: "string",
    bool: "boolean",
    int: "integer",
    float: "number",
    type(None): "null",
    list: "array",
    dict: "object",
}
"""What JSON calls the types of its values."""
_MOST = 64 * 1024
"""How many characters of JSON a parameter's schema may take: models read each of them with each request."""
_WORK = 16 * _MOST
"""What may be spent on it: more, since words within words are counted at each level."""
_EACH = 64
"""What a schema without words is counted as."""
_TOO_LARGE = f"it takes more than {_MOST // 1024} KB with all that its type refers to: give it a smaller type"

_ORDER = ("type", "description", "enum", "items", "properties", "required", "anyOf")


def plain(schema: Any, definitions: Mapping[str, Any], path: str) -> dict[str, Any]:
    """
    Say *schema* in the keywords that reach a model.

    Args:
        schema: A JSON schema.

        definitions: What its references refer to, by name: its `$defs`.

        path: What the schema is of, for errors, such as "node".

    Raises TypeError for one that contains itself, since Ollama keeps no references, and for one that takes more than
    64 KB with all references written out.
    """
    made = _plain(schema, _Definitions(definitions), path, ()).finish()
    if len(json.dumps(made, ensure_ascii=False, separators=(",", ":"), default=str)) > _MOST:
        raise TypeError(_TOO_LARGE)
    return made


class _Definitions:
    """What references refer to, by name, and how much may still be written of it."""

    def __init__(self, by_name: Mapping[str, Any]) -> None:
        self._by_name = by_name
        self._left = _WORK

    def __getitem__(self, name: str) -> Any:
        return self._by_name[name]

    def __contains__(self, name: str) -> bool:
        return name in self._by_name

    def spend(self, words: Iterable[str] = ()) -> None:
        """Count a schema and its words. It stops what grows with each level long before it is whole."""
        self._left -= _EACH + sum(map(len, words))
        if self._left < 0:
            raise TypeError(_TOO_LARGE)


@dataclass(slots=True)
class _Plain:
    """A schema whose description is not put together yet: its text may be replaced, its words must stay."""

    keys: dict[str, Any] = field(default_factory=dict[str, Any])
    text: str = ""
    words: list[str] = field(default_factory=list[str])

    def finish(self) -> dict[str, Any]:
        said = "; ".join(dict.fromkeys(self.words))
        text = self.text.rstrip()
        keys = dict(self.keys)
        if text or said:
            keys["description"] = f"{text} ({said})" if text and said else text or said
        return {key: keys[key] for key in _ORDER if key in keys}


def _plain(schema: Any, definitions: _Definitions, path: str, within: tuple[str, ...]) -> _Plain:
    if not isinstance(schema, Mapping):  # a boolean schema, which the server refuses
        return _Plain(words=["no value is right"] if schema is False else [])
    if "$ref" in schema:
        name = str(schema["$ref"]).rpartition("/")[2]
        if name in within:
            raise TypeError(f"{path} refers back to {name.rpartition('.')[2]}, and Ollama's tools cannot express that")
        beside = {key: value for key, value in schema.items() if key != "$ref"}
        return _plain({**definitions[name], **beside}, definitions, path, (*within, name))
    if "allOf" in schema:
        return _plain(_merged(schema, definitions), definitions, path, within)
    one_of = schema.get("anyOf", schema.get("oneOf"))
    found = _union(schema, one_of, definitions, path, within) if one_of else _Plain()
    if "type" in schema:
        found.keys["type"] = schema["type"]
    values = [schema["const"]] if "const" in schema else schema.get("enum")
    if values is not None:
        found.keys["enum"] = list(values)
        found.keys.setdefault("type", types_of(values))
    if "properties" in schema:
        _put_properties(found, schema, definitions, path, within)
    if schema.get("type") == "array":
        _put_items(found, schema, definitions, path, within)
    found.text = schema.get("description") or found.text
    found.words += _words(schema, found.text, definitions)
    found.words += _words_of_entries(schema, definitions, path, within)
    definitions.spend(found.words)
    return found


def _merged(schema: Mapping[str, Any], definitions: _Definitions) -> dict[str, Any]:
    merged: dict[str, Any] = {}
    for given in (*schema["allOf"], {key: value for key, value in schema.items() if key != "allOf"}):
        member = given
        while "$ref" in member and len(schema["allOf"]) > 1:  # alone, it stays to be checked for a circle
            member = {
                **definitions[member["$ref"].rpartition("/")[2]],
                **{k: v for k, v in member.items() if k != "$ref"},
            }
        properties = {**merged.get("properties", {}), **member.get("properties", {})}
        required = [*merged.get("required", []), *member.get("required", [])]
        merged |= member
        if properties:
            merged["properties"] = properties
        if required:
            merged["required"] = list(dict.fromkeys(required))
    return merged


def _union(
    schema: Mapping[str, Any],
    members: Iterable[Any],
    definitions: _Definitions,
    path: str,
    within: tuple[str, ...],
) -> _Plain:
    found = [_plain(member, definitions, path, within) for member in members]
    others = [member for member in found if member.keys != {"type": "null"}]
    # What may be left out, and is None then, need not be null as well.
    null = len(others) < len(found) and not ("default" in schema and schema["default"] is None)
    if not others:
        return _Plain({"type": "null"})
    if len(others) == 1:
        (only,) = others
        return _or_null(only) if null else only
    kinds = [member.finish() for member in others]
    if null:
        kinds.append({"type": "null"})
    return _Plain({"anyOf": kinds})


def _or_null(only: _Plain) -> _Plain:
    keys = only.keys
    if "anyOf" in keys:
        keys["anyOf"] = [*keys["anyOf"], {"type": "null"}]
    if "type" in keys:
        types = keys["type"]
        keys["type"] = [*([types] if isinstance(types, str) else types), "null"]
    if "enum" in keys:
        keys["enum"] = [*keys["enum"], None]
    return only


def types_of(values: Sequence[Any]) -> str | list[str]:
    """Give the type of JSON values, or their types."""
    types = list(dict.fromkeys(TYPES.get(type(value), "string") for value in values))
    return types[0] if len(types) == 1 else types


def _put_properties(
    found: _Plain, schema: Mapping[str, Any], definitions: _Definitions, path: str, within: tuple[str, ...]
) -> None:
    found.keys["properties"] = {
        name: _plain(below, definitions, f"{path}.{name}", within).finish()
        for name, below in schema["properties"].items()
    }
    if schema.get("required"):
        found.keys["required"] = list(schema["required"])


def _put_items(
    found: _Plain, schema: Mapping[str, Any], definitions: _Definitions, path: str, within: tuple[str, ...]
) -> None:
    rest = schema.get("items")
    first = schema.get("prefixItems")
    if not first:
        found.keys["items"] = _plain(rest, definitions, f"{path}[]", within).finish() if rest is not False else {}
        return
    places = [_plain(item, definitions, f"{path}[{place}]", within).finish() for place, item in enumerate(first)]
    names = [item.get("title", "") if isinstance(item, Mapping) and "$ref" not in item else "" for item in first]
    said = [f"{name}: {_phrase(kind)}" if name else _phrase(kind) for name, kind in zip(names, places, strict=True)]
    if rest:
        places.append(_plain(rest, definitions, f"{path}[]", within).finish())
        said.append(f"then any number of {_phrase(places[-1])}")
    kinds = [kind for place, kind in enumerate(places) if kind not in places[:place]]
    found.keys["items"] = kinds[0] if len(kinds) == 1 else {"anyOf": kinds}
    found.words.append(f"items in order: {', '.join(said)}")


def _phrase(kind: Mapping[str, Any]) -> str:
    """Say a schema within a sentence: as a type where that is all of it, else as JSON."""
    if not kind:
        return "any value"
    if set(kind) <= {"type", "description"} and isinstance(kind.get("type"), str):
        text = kind.get("description")
        return f"{kind['type']} ({text})" if text else str(kind["type"])
    return _json(kind)


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(", ", ": "))


def _words(schema: Mapping[str, Any], text: str, definitions: _Definitions) -> list[str]:
    """Say what the server drops."""
    words = [*_words_of_kind(schema), *_bounds(schema)]
    if "multipleOf" in schema:
        words.append(f"a multiple of {schema['multipleOf']}")
    if "pattern" in schema:
        words.append(f"matches the regular expression {schema['pattern']}")
    words += _sizes(schema, "Length", "character")
    if len(schema.get("prefixItems", ())) != schema.get("minItems"):  # else they have been listed
        words += _sizes(schema, "Items", "item")
    words += _sizes(schema, "Properties", "entry")
    if schema.get("uniqueItems"):
        words.append("without duplicates")
    if schema.get("examples"):
        words.append(f"such as {', '.join(map(_json, schema['examples']))}")
    if schema.get("deprecated"):
        words.append("deprecated")
    if (
        schema.get("default") not in (None, "", [], {})
        and "default" not in text.lower()
        and not _is_secret({**schema, "default": None}, definitions, set())
    ):
        words.append(f"default {_json(schema['default'])}")
    return words


def _is_secret(part: Any, definitions: _Definitions, seen: set[str]) -> bool:
    """Say whether a secret is in it, such as a SecretStr: then its default may be one, too, as plain text even."""
    if isinstance(part, list):
        return any(_is_secret(item, definitions, seen) for item in part)
    if not isinstance(part, Mapping):
        return False
    if part.get("writeOnly") is True:
        return True
    if isinstance(part.get("$ref"), str):
        name = part["$ref"].rpartition("/")[2]
        if name not in seen and name in definitions:
            seen.add(name)
            if _is_secret(definitions[name], definitions, seen):
                return True
    return any(_is_secret(below, definitions, seen) for below in part.values())


def _words_of_kind(schema: Mapping[str, Any]) -> list[str]:
    words: list[str] = []
    if "x-names" in schema:
        words.append(", ".join(f"{_json(value)} is {name}" for name, value in schema["x-names"].items()))
    if "format" in schema:
        words.append(_FORMATS.get(schema["format"], f"format {schema['format']}"))
    if schema.get("contentEncoding") == "base64":
        words.append(_FORMATS["base64"])
    if schema.get("contentMediaType") == "application/json":
        words.append("text that is JSON")
    return words


def _bounds(schema: Mapping[str, Any]) -> list[str]:
    least, most = schema.get("minimum"), schema.get("maximum")
    above, below = schema.get("exclusiveMinimum"), schema.get("exclusiveMaximum")
    words: list[str] = []
    if least is not None and most is not None:
        words.append(f"from {least} to {most}")
    elif least is not None:
        words.append(f"at least {least}")
    elif most is not None:
        words.append(f"at most {most}")
    if above is not None:
        words.append(f"more than {above}")
    if below is not None:
        words.append(f"less than {below}")
    return words


def _sizes(schema: Mapping[str, Any], what: str, unit: str) -> list[str]:
    least, most = schema.get(f"min{what}"), schema.get(f"max{what}")

    def counted(count: int) -> str:
        return f"{count} {unit if count == 1 else 'entries' if unit == 'entry' else unit + 's'}"

    if least and least == most:
        return [f"exactly {counted(least)}"]
    if least and most is not None:
        return [f"from {least} to {counted(most)}"]
    if least:
        return [f"at least {counted(least)}"]
    return [f"at most {counted(most)}"] if most is not None else []


def _words_of_entries(
    schema: Mapping[str, Any], definitions: _Definitions, path: str, within: tuple[str, ...]
) -> list[str]:
    """Say what an object's keys and values, or the content of a text, are."""
    words: list[str] = []
    for keyword, said in (
        ("propertyNames", "each key"),
        ("additionalProperties", "each value"),
        ("contentSchema", "its content"),
    ):
        below = schema.get(keyword)
        if isinstance(below, Mapping) and below:
            words.append(f"{said}: {_phrase(_plain(below, definitions, f'{path}.*', within).finish())}")
    for pattern, below in (schema.get("patternProperties") or {}).items():
        kind = _phrase(_plain(below, definitions, f"{path}.*", within).finish())
        words.append(f"each key matches the regular expression {pattern}, each value: {kind}")
    return words
