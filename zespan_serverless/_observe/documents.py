"""Retrieved documents in the format of the `zespan` SDK, from texts, mappings, and objects of known frameworks."""

from __future__ import annotations

from itertools import islice
from typing import Any

from .._record.values import leaf, to_json
from ..providers._fields import field

_MOST = 10_000  # documents per search

_CONTENT = ("content", "text", "chunk", "page_content", "snippet")
_NAMES = {
    "document_id": ("document_id", "doc_id", "docId", "source_document_id", "node_id", "id_", "id"),
    "chunk_id": ("chunk_id", "chunkId", "passage_id"),
    "source": ("source", "uri", "url", "path"),
}
_SCORES = ("score", "relevance_score", "similarity")


def read(found: object) -> list[dict[str, Any]]:
    """Return each document with its `content`, `document_id`, `chunk_id`, `source` and `score`, as far as they exist.

    An iterator is described as one document, because reading it would consume it.
    """
    is_list = issubclass(type(found), (list, tuple, set, frozenset))
    listed = islice(found, _MOST) if is_list else (found,)  # type: ignore[call-overload]
    return [document for one in listed if (document := _document(one))]


def _document(one: object) -> dict[str, Any]:
    if one is None:
        return {}
    if issubclass(type(one), (str, bytes)):
        content = leaf(one)
        return {"content": content} if content.strip() else {}
    inner = field(one, "node")  # LlamaIndex' NodeWithScore
    inner = one if inner is None else inner
    known: dict[str, Any] = {"content": _first(inner, _CONTENT)}
    known |= {name: _first(inner, names) for name, names in _NAMES.items()}
    known["score"] = _first(one, _SCORES)
    if known["source"] is None:
        known["source"] = _first(field(inner, "metadata"), _NAMES["source"])  # LangChain
    score = leaf(known.pop("score"))
    kept: dict[str, Any] = {name: str(leaf(value)) for name, value in known.items() if value is not None}
    if type(score) in (int, float):
        kept["score"] = score
    return kept or {"content": to_json(one)}  # an unknown type


def _first(value: object, names: tuple[str, ...]) -> Any:
    return next((found for name in names if (found := field(value, name)) is not None), None)
