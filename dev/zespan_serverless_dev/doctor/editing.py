"""Line edits that rules offer. A file with several settings on a line is not edited."""

from __future__ import annotations

import re
from pathlib import Path

from .findings import Edit
from .model import Place
from .readers.files import text_of


def visibility(place: Place, seconds: int) -> Edit | None:
    """Set a queue's visibility timeout, where it is written, or otherwise in the queue."""
    key = "visibility_timeout_seconds" if _is_terraform(place) else "VisibilityTimeout"
    return _replaced(place, key, str(seconds)) or _inserted(place, key, str(seconds))


def reports_failures(place: Place) -> Edit | None:
    """Make an event source report the messages that failed."""
    if _is_terraform(place):
        return _inserted(place, "function_response_types", '["ReportBatchItemFailures"]')
    if place.file.name.startswith("serverless."):
        lines = _lines(place.file)
        for index in range(place.line or 0, len(lines)):
            indent = re.match(r"( +)arn:", lines[index])
            if indent:
                line = f"{indent[1]}functionResponseType: ReportBatchItemFailures"
                return Edit(place, index + 1, index + 1, (lines[index], line))
            if not lines[index].strip() or re.match(r"\s*-", lines[index]):
                return None
        return None
    return _inserted(place, "FunctionResponseTypes", "[ReportBatchItemFailures]")


def retention(place: Place, days: int) -> Edit | None:
    """Give a log group a retention."""
    return _inserted(place, "retention_in_days" if _is_terraform(place) else "RetentionInDays", str(days))


def _is_terraform(place: Place) -> bool:
    return place.file.suffix == ".tf"


def _replaced(place: Place, key: str, value: str) -> Edit | None:
    """Return the line with another value, and its comment; None if it does not have the key and a plain value."""
    line = _line(place)
    found = re.fullmatch(rf"(\s*[\"']?{key}[\"']?\s*[:=]\s*)([\w.]+)(\s*,?\s*(?:#.*)?)", line)
    if found is None or place.line is None:
        return None
    return Edit(place, place.line, place.line, (f"{found[1]}{value}{found[3]}",))


def _inserted(place: Place, key: str, value: str) -> Edit | None:
    """Return an edit that adds a first setting to the resource or event whose header is at `place`."""
    if place.line is None:
        return None
    if _is_terraform(place):
        return _first_of_block(place, place.line, f"{key} = {value}")
    return _first_of_properties(place, place.line, key, value) if place.file.suffix in (".yaml", ".yml") else None


def _first_of_block(place: Place, number: int, setting: str) -> Edit | None:
    line = _line(place)
    if not line.rstrip().endswith("{"):
        return None
    indent = re.match(r"\s*", line)
    return Edit(place, number, number, (line, f"{indent[0] if indent else ''}  {setting}"))


def _first_of_properties(place: Place, number: int, key: str, value: str) -> Edit | None:
    """After `Properties:` below the header, or after `Type:` with a `Properties:` of its own."""
    lines = _lines(place.file)
    header = lines[number - 1] if number <= len(lines) else ""
    if not re.fullmatch(r"\s*[\w\"'-]+:\s*(#.*)?", header):
        return None
    end = _end_of_block(lines, number)
    for index in range(number, end):
        found = re.fullmatch(r"(\s+)Properties:\s*(#.*)?", lines[index])
        if found:
            step = re.match(r"\s*", lines[index + 1]) if index + 1 < end else None
            indent = step[0] if step and len(step[0]) > len(found[1]) else f"{found[1]}  "
            return Edit(place, index + 1, index + 1, (lines[index], f"{indent}{key}: {value}"))
    for index in range(number, end):
        found = re.fullmatch(r"(\s+)Type:.*", lines[index])
        if found and "Properties" not in " ".join(lines[number:end]):
            added = (lines[index], f"{found[1]}Properties:", f"{found[1]}  {key}: {value}")
            return Edit(place, index + 1, index + 1, added)
    return None


def _end_of_block(lines: list[str], start: int) -> int:
    """Return the index after the last line that is indented more than the one before `start`."""
    header = lines[start - 1]
    indent = len(header) - len(header.lstrip())
    for index in range(start, len(lines)):
        line = lines[index]
        if line.strip() and len(line) - len(line.lstrip()) <= indent:
            return index
    return len(lines)


def _line(place: Place) -> str:
    lines = _lines(place.file)
    return lines[place.line - 1] if place.line is not None and place.line <= len(lines) else ""


def _lines(file: Path) -> list[str]:
    try:
        return text_of(file).splitlines()
    except (OSError, ValueError):
        return []
