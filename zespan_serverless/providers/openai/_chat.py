"""Chat completions: reads requests and answers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..._record.model import Answer
from .._fields import arguments_of, as_text, field, function_of, held_by, items, text_of, texts_of
from .._request import Choke, Request
from .._stainless import StainlessEndpoint
from ._addresses import provider_of
from ._usage import count

if TYPE_CHECKING:
    from ._chunks import Chunks


class Methods(Choke):
    """The methods: they receive what the user has passed, also for a call that is refused before anything is sent."""

    classes = ("Completions", "AsyncCompletions")
    methods = ("create", "parse")
    paths = ("chat.completions", "beta.chat.completions")

    def read(self, owner: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Request | None:
        return CHAT.request_of(getattr(owner, "_client", None), kwargs, kwargs.get("extra_headers"))


class Chat(StainlessEndpoint):
    """Reads answers: objects of the SDK, or dicts with the same fields."""

    operation = "chat"
    hint = 'pass stream_options={"include_usage": True}'

    def request_of(self, client: Any, body: dict[str, Any], headers: Any) -> Request:
        return Request(
            self,
            provider_of(client),
            body.get("model", "unknown"),
            messages=body.get("messages"),
            tools=[function for tool in items(body.get("tools")) if (function := function_of(tool))],
            stream=body.get("stream"),
            headers=headers,
        )

    def answer(self, result: Any) -> Answer:
        answer, get = Answer(), held_by(result).get
        answer.model, answer.tier = as_text(get("model")), as_text(get("service_tier"))
        count(answer, get("usage"))
        for number, choice in enumerate(items(get("choices"))):
            in_choice = held_by(choice).get
            message = in_choice("message")
            in_message = held_by(message).get
            content = in_message("content")
            text = content if type(content) is str else "".join(texts_of(message))
            text = text or as_text(in_message("refusal")) or text_of(in_message("audio"), "transcript")
            if number == 0:
                answer.text, answer.finish_reason = text, as_text(in_choice("finish_reason"))
            else:
                answer.others.append(text)
            called, old = in_message("tool_calls"), in_message("function_call")
            for function in (*map(function_of, items(called)), old) if called or old else ():
                if function:
                    answer.tool(text_of(function, "name"), arguments_of(function))
        return answer

    def charged(self, error: BaseException) -> Answer | None:
        """Return the answer of a call that was cut off, or that `parse` could not read."""
        completion, traceback = field(error, "completion"), error.__traceback__
        while completion is None and traceback is not None:
            frame, traceback = traceback.tb_frame, traceback.tb_next
            if frame.f_code.co_name == "parse_chat_completion":
                completion = frame.f_locals.get("chat_completion")
        return None if completion is None else self.answer(completion)

    def pieces(self) -> Chunks:
        from ._chunks import Chunks  # not above: many functions read no streams

        return Chunks(self.answer)


CHAT = Chat()
