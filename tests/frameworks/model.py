"""The APIs of five providers in one: it answers with a text, or, where tools are offered, first with a call of one.

A request that says `broken`, as the name of the model or in a message, is refused with status 400.
"""

from __future__ import annotations

import itertools
import json
from typing import Any
from urllib.parse import unquote

from tests.providers.endpoint import Json, Reply, events, frames, whole

TEXT = "Sunny."
ARGUMENTS = {"city": "Bern"}
INPUT, OUTPUT = 12, 3
"""Tokens of each answer."""

_numbers = itertools.count()


def reply(path: str, request: Json) -> Reply:
    """Return the answer to a request, in the words of the API that the path belongs to."""
    where = unquote(path.partition("?")[0])
    if "broken" in where + str(request.get("model")) + json.dumps(request.get("messages") or request.get("input")):
        return whole({"error": {"message": "refused", "type": "invalid_request_error"}, "message": "refused"}, 400)
    tool = _wanted(request)
    for end, api in APIS.items():
        if where.endswith(end):
            return api(request, tool)
    return whole({"error": {"message": f"no such path: {path}"}}, 404)


def _id(kind: str) -> str:
    return f"{kind}_{next(_numbers)}"


def _wanted(request: Json) -> str | None:
    """Return the name of the tool to call: the first that is offered, unless the request has the result of one."""
    text = json.dumps([request.get(name) for name in ("messages", "input", "contents")])
    results = ('"role": "tool"', '"function_call_output"', '"tool_result"', '"toolResult"', '"functionResponse"')
    tools = _tools(request)
    return None if not tools or any(result in text for result in results) else str(tools[0])


def _tools(request: Json) -> list[Any]:
    """Return the names of the tools that are offered."""
    offered = request.get("tools") or (request.get("toolConfig") or {}).get("tools") or []
    tools: list[Any] = []
    for tool in offered:
        several = tool.get("functionDeclarations") or tool.get("function_declarations")
        tools += several or [tool.get("function") or tool.get("toolSpec") or tool]
    return [tool["name"] for tool in tools]


def _chat(request: Json, tool: str | None) -> Reply:
    usage = {"prompt_tokens": INPUT, "completion_tokens": OUTPUT, "total_tokens": INPUT + OUTPUT}
    call = {"id": "c1", "type": "function", "function": {"name": tool, "arguments": json.dumps(ARGUMENTS)}}
    message = {"role": "assistant", "content": None if tool else TEXT, **({"tool_calls": [call]} if tool else {})}
    head = {"id": _id("c"), "created": 1, "model": request["model"]}
    last = "tool_calls" if tool else "stop"
    if not request.get("stream"):
        choice = {"index": 0, "message": message, "finish_reason": last, "logprobs": None}
        more = {"object": "chat.completion", "service_tier": "default"}  # LiteLLM asks Groq's answer for it
        return whole({**head, **more, "choices": [choice], "usage": usage})
    delta = {**message, "tool_calls": [{"index": 0, **call}]} if tool else message
    head["object"] = "chat.completion.chunk"
    chunks: list[Json] = [
        {**head, "choices": [{"index": 0, "delta": one, "finish_reason": reason}]}
        for one, reason in ((delta, None), ({}, last))
    ]
    if (request.get("stream_options") or {}).get("include_usage") or "mistral" in request["model"]:
        chunks.append({**head, "choices": [], "usage": usage})
    return events(*chunks, done=True)


def _responses(request: Json, tool: str | None) -> Reply:
    part = {"type": "output_text", "text": TEXT, "annotations": [], "logprobs": []}
    item: Json = {"id": _id("m"), "type": "message", "role": "assistant", "status": "completed", "content": [part]}
    if tool:
        item = {"id": _id("f"), "type": "function_call", "call_id": "c1", "name": tool, "status": "completed"}
        item["arguments"] = json.dumps(ARGUMENTS)
    details = {"input_tokens_details": {"cached_tokens": 0}, "output_tokens_details": {"reasoning_tokens": 0}}
    usage = {"input_tokens": INPUT, "output_tokens": OUTPUT, "total_tokens": INPUT + OUTPUT, **details}
    answer: Json = {"id": _id("r"), "object": "response", "created_at": 1, "model": request["model"], "metadata": {}}
    answer |= {"parallel_tool_calls": True, "tool_choice": "auto", "tools": [], "temperature": 1, "top_p": 1}
    answer |= {"error": None, "incomplete_details": None, "instructions": None}
    done = {**answer, "status": "completed", "output": [item], "usage": usage}
    if not request.get("stream"):
        return whole(done)
    begun = {**answer, "status": "in_progress", "output": [], "usage": None}
    at = {"output_index": 0, "item_id": item["id"]}
    blank = {**item, "content": []} if not tool else {**item, "arguments": ""}
    pieces: list[Json] = [
        {"type": "response.created", "response": begun},
        {"type": "response.output_item.added", **at, "item": blank},
    ]
    if tool:
        pieces.append({"type": "response.function_call_arguments.delta", **at, "delta": item["arguments"]})
        pieces.append(
            {"type": "response.function_call_arguments.done", **at, "name": tool, "arguments": item["arguments"]}
        )
    else:
        at["content_index"] = 0
        pieces.append({"type": "response.content_part.added", **at, "part": {**part, "text": ""}})
        pieces.append({"type": "response.output_text.delta", **at, "delta": TEXT, "logprobs": []})
        pieces.append({"type": "response.output_text.done", **at, "text": TEXT, "logprobs": []})
        pieces.append({"type": "response.content_part.done", **at, "part": part})
    pieces.append({"type": "response.output_item.done", "output_index": 0, "item": item})
    pieces.append({"type": "response.completed", "response": done})
    return events(*({**piece, "sequence_number": number} for number, piece in enumerate(pieces)), named=True)


def _messages(request: Json, tool: str | None) -> Reply:
    usage = {"input_tokens": INPUT, "output_tokens": OUTPUT}
    block: Json = {"type": "text", "text": TEXT}
    if tool:
        block = {"type": "tool_use", "id": "c1", "name": tool, "input": ARGUMENTS}
    answer: Json = {
        "id": _id("m"),
        "type": "message",
        "role": "assistant",
        "model": request["model"],
        "content": [block],
    }
    answer |= {"stop_reason": "tool_use" if tool else "end_turn", "stop_sequence": None, "usage": usage}
    if not request.get("stream"):
        return whole(answer)
    delta = {"type": "text_delta", "text": TEXT}
    if tool:
        delta = {"type": "input_json_delta", "partial_json": json.dumps(ARGUMENTS)}
    blank = {**block, "input": {}} if tool else {**block, "text": ""}
    return events(
        {"type": "message_start", "message": {**answer, "content": [], "stop_reason": None}},
        {"type": "content_block_start", "index": 0, "content_block": blank},
        {"type": "content_block_delta", "index": 0, "delta": delta},
        {"type": "content_block_stop", "index": 0},
        {"type": "message_delta", "delta": {"stop_reason": answer["stop_reason"]}, "usage": usage},
        {"type": "message_stop"},
        named=True,
    )


def _converse(request: Json, tool: str | None) -> Reply:
    usage = {"inputTokens": INPUT, "outputTokens": OUTPUT, "totalTokens": INPUT + OUTPUT}
    block: Json = {"toolUse": {"toolUseId": "c1", "name": tool, "input": ARGUMENTS}} if tool else {"text": TEXT}
    message = {"role": "assistant", "content": [block]}
    reason = "tool_use" if tool else "end_turn"
    return whole({"output": {"message": message}, "stopReason": reason, "usage": usage, "metrics": {"latencyMs": 1}})


def _converse_stream(request: Json, tool: str | None) -> Reply:
    usage = {"inputTokens": INPUT, "outputTokens": OUTPUT, "totalTokens": INPUT + OUTPUT}
    delta: Json = {"toolUse": {"input": json.dumps(ARGUMENTS)}} if tool else {"text": TEXT}
    begin = {"contentBlockIndex": 0, "start": {"toolUse": {"toolUseId": "c1", "name": tool}}}
    return frames(
        ("messageStart", {"role": "assistant"}),
        *([("contentBlockStart", begin)] if tool else []),
        ("contentBlockDelta", {"contentBlockIndex": 0, "delta": delta}),
        ("contentBlockStop", {"contentBlockIndex": 0}),
        ("messageStop", {"stopReason": "tool_use" if tool else "end_turn"}),
        ("metadata", {"usage": usage, "metrics": {"latencyMs": 1}}),
    )


def _generate(request: Json, tool: str | None) -> Reply:
    return whole(_generated(tool))


def _generate_stream(request: Json, tool: str | None) -> Reply:
    return events(_generated(tool))


def _generated(tool: str | None) -> Json:
    part = {"functionCall": {"name": tool, "args": ARGUMENTS}} if tool else {"text": TEXT}
    candidate = {"content": {"role": "model", "parts": [part]}, "finishReason": "STOP", "index": 0}
    usage = {"promptTokenCount": INPUT, "candidatesTokenCount": OUTPUT, "totalTokenCount": INPUT + OUTPUT}
    return {"candidates": [candidate], "usageMetadata": usage, "modelVersion": "gemini-2.5-flash"}


def _embed(request: Json, tool: str | None) -> Reply:
    data = [{"object": "embedding", "index": 0, "embedding": [0.1, 0.2]}]
    usage = {"prompt_tokens": INPUT, "total_tokens": INPUT}
    return whole({"object": "list", "model": request["model"], "data": data, "usage": usage})


APIS = {
    "/chat/completions": _chat,
    "/responses": _responses,
    "/messages": _messages,
    "/converse": _converse,
    "/converse-stream": _converse_stream,
    ":generateContent": _generate,
    ":streamGenerateContent": _generate_stream,
    "/embeddings": _embed,
}
