"""Objects of any make are read, whatever keeps their fields."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any
from unittest import mock

import pytest
from pydantic import BaseModel, ConfigDict

from zespan_serverless.providers._fields import field, held_by


class Model(BaseModel):
    model_config = ConfigDict(extra="allow")
    text: str = "Hi"

    @property
    def computed(self) -> str:
        return f"{self.text}!"


class AnswersAll:
    """An object that has an answer for every name: None where it has nothing."""

    def __init__(self, **data: Any) -> None:
        self._data = data

    def __getattr__(self, name: str) -> Any:
        return self._data.get(name)


class Own(dict[str, Any]):
    def get(self, *_: object) -> Any:
        raise RuntimeError("never called")


class Broken:
    @property
    def text(self) -> str:
        raise RuntimeError("broken")


@pytest.mark.parametrize(
    "value",
    [
        {"text": "Hi", "more": 1},
        Own(text="Hi", more=1),
        Model.model_validate({"more": 1}),
        SimpleNamespace(text="Hi", more=1),
        AnswersAll(text="Hi", more=1),
        mock.MagicMock(text="Hi", more=1, none=None),
    ],
    ids=lambda value: type(value).__name__,
)
def test_fields_of_every_make(value: Any) -> None:
    """By their name, one by one or all at once; what is not there is None."""
    for get in (lambda name: field(value, name), held_by(value).get):
        assert (get("text"), get("more"), get("none")) == ("Hi", 1, None)


def test_a_property_of_a_model() -> None:
    """A class may define what its fields do not have."""
    assert field(Model(), "computed") == "Hi!"
    assert field(Model(), "nothing") is None


@pytest.mark.parametrize("value", [None, 1, "text", Broken(), object()])
def test_what_cannot_be_read_is_absent(value: Any) -> None:
    """None, and nothing is raised."""
    assert field(value, "text") is None
    assert held_by(value).get("text") is None
