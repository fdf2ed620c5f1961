"""Images: reads requests. Their answers have neither tokens nor texts."""

from __future__ import annotations

from typing import Any

from ..._record.model import Answer
from .._fields import field, items
from .._request import Choke, Endpoint, Request
from ._generate import provider_of


class Images(Choke):
    """Calls that generate, edit or enlarge images."""

    classes = ("Models", "AsyncModels")
    methods = ("_generate_images", "_edit_image", "_upscale_image")
    paths = ("models", "aio.models")

    def read(self, owner: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Request | None:
        asked = [{"role": "user", "content": one} for one in (kwargs.get("prompt"),) if one is not None]
        return Request(IMAGES, provider_of(owner), kwargs.get("model", "unknown"), messages=asked)


class Pictures(Endpoint):
    """Counts images."""

    kind, operation = "image_gen", "generate_content"

    def answer(self, result: Any) -> Answer:
        answer = Answer()
        answer.count("images", len(items(field(result, "generated_images"))))
        return answer


IMAGES = Pictures()
