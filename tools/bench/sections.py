"""The parts of docs/benchmarks.md: what each one shows."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from .subjects import BARE, FLOOR, SUBJECTS
from .tables import Results, added, lines, number, share, table

_DELIVERED = {"Arrived before the freeze": share("arrived_in_time"), "Later": share("arrived")}


def _cold(found: Mapping[str, Results]) -> str:
    columns = {
        "Init, ms": added("init_ms", 0),
        "First response, ms": added("first_ms", 0),
        "CPU, ms": added("cpu_ms", 0),
        "Memory, MB": added("memory_mb"),
    }
    own = {"Init, ms": "init_ms", "First response, ms": "first_ms", "CPU, ms": "cpu_ms", "Memory, MB": "memory_mb"}
    return table(found, columns, {head: number(measure, 0) for head, measure in own.items()})


def _warm(found: Mapping[str, Results]) -> str:
    columns = {
        "Response, ms": added("response_ms", 2),
        "99th percentile": number("response_ms_p99_added", 1),
        "Billed, ms": added("billed_ms"),
        "CPU, ms": added("cpu_ms", 2),
        **_DELIVERED,
    }
    own = {"Response, ms": "response_ms", "99th percentile": "response_ms_p99", "Billed, ms": "billed_ms"}
    return table(found, columns, {head: number(name) for head, name in {**own, "CPU, ms": "cpu_ms"}.items()})


def _work(found: Mapping[str, Results]) -> str:
    columns = {"Python": number("python_added", 0), "C": number("c_added", 0)}
    return table(found, columns, {"Python": number("python", 0), "C": number("c", 0)})


def _tls(found: Mapping[str, Results]) -> str:
    columns = {
        "First invocation billed, ms": number("first_billed_ms", 0),
        "Response, ms": added("response_ms", 2),
        "Billed, ms": added("billed_ms"),
        **_DELIVERED,
    }
    return table(found, columns, {"First invocation billed, ms": number("first_billed_ms", 0)})


def _freeze(found: Mapping[str, Results]) -> str:
    return table(found, _DELIVERED)


def _kill(found: Mapping[str, Results]) -> str:
    return table(found, {"Arrived": share("arrived"), "Next invocation answered": share("next_answered")})


def _outage(found: Mapping[str, Results]) -> str:
    columns = {
        "Answered": share("answered"),
        "Slowest response, ms": number("slowest_response_ms", 0),
        "Billed in all, ms": number("billed_ms", 0),
        "Arrived afterwards": share("arrived"),
        "Of the 3 after it": share("after_arrived", "after_calls"),
    }
    return table(found, columns, {head: columns[head] for head in list(columns)[:3]})


def _calls(found: Mapping[str, Mapping[str, Results]]) -> str:
    return _each_size(found, lambda size: "1 call" if size == "1" else f"{size} calls")


def _quotas(found: Mapping[str, Mapping[str, Results]]) -> str:
    tables = _each_size(found, lambda size: f"{int(size):,} MB")
    return f"{_beside_the_floor(found)}\n\n{tables}" if all(FLOOR in results for results in found.values()) else tables


def _beside_the_floor(found: Mapping[str, Mapping[str, Results]]) -> str:
    """Return a table with what an invocation is billed for, and how much that is above one request by hand."""
    rows = []
    for size, results in found.items():
        bare, floor, package = (results[name]["billed_ms"]["median"] for name in (BARE, FLOOR, "package"))
        billed = [f"{number:.1f}" for number in (bare, floor, package)]
        rows.append([f"{int(size):,} MB", *billed, f"{(package / floor - 1) * 100:+.0f} %"])
    return lines(["Billed, ms", *(SUBJECTS[name].label for name in (BARE, FLOOR, "package")), "Above by hand"], rows)


def _each_size(found: Mapping[str, Mapping[str, Results]], head: Callable[[str], str]) -> str:
    """Return a table for each measure, with a column for each size."""
    names = next(iter(found.values()))
    by_subject = {name: {size: found[size].get(name, {}) for size in found} for name in names}
    tables = []
    for measure, title in (("response_ms", "Response, ms"), ("billed_ms", "Billed, ms"), ("cpu_ms", "CPU, ms")):
        columns = {head(size): _at(size, added(measure)) for size in found}
        own = {head(size): _at(size, number(measure)) for size in found}
        tables.append(f"{title}:\n\n{table(by_subject, columns, own)}")
    return "\n\n".join(tables)


def _web(found: Mapping[str, Mapping[str, Mapping[str, Results]]]) -> str:
    columns = {
        "CPU, ms": number("cpu_added_ms", 2),
        "50th percentile, ms": number("p50_added_ms"),
        "99th percentile, ms": number("p99_added_ms"),
        "Memory, MB": number("memory_mb"),
        "Arrived": share("arrived"),
    }
    own = {"CPU, ms": number("cpu_ms", 2), "Memory, MB": columns["Memory, MB"]}
    tables = []
    for server, by_number in found.items():
        for at_once, results in by_number.items():
            title = f"{server}, {int(at_once):,} at once" if at_once != "1" else f"{server}, one after the other"
            tables.append(f"{title}:\n\n{table(results, columns, own)}")
    return "\n\n".join(tables)


def _events(found: Mapping[str, Results]) -> str:
    columns = {
        "Captured": number("captured", 0),
        "Arrived": number("arrived", 0),
        "Dropped, and counted": number("dropped", 0),
        "Requests": number("requests", 0),
        "CPU per event, µs": number("cpu_us", 0),
    }
    rows = [[f"{int(rate):,}", *(cell(results) for cell in columns.values())] for rate, results in found.items()]
    return lines(["Events a second", *columns], rows)


def _memory(found: Mapping[str, Results]) -> str:
    counts = next(iter(found.values()))["memory_mb"]
    columns = {f"After {int(count):,}, MB": _at_count(count) for count in counts}
    return table(found, columns, columns)


def _at_count(count: str) -> Callable[[Results], str]:
    return lambda found: f"{found['memory_mb'][count]:.1f}"


def _at(count: str, cell: Callable[[Results], str]) -> Callable[[Results], str]:
    return lambda by_count: cell(by_count[count])


def _prompt(found: Mapping[str, Results]) -> str:
    columns = {"Response, ms": added("response_ms"), "Billed, ms": added("billed_ms"), "CPU, ms": added("cpu_ms")}
    own = {head: number(name) for head, name in zip(columns, ("response_ms", "billed_ms", "cpu_ms"), strict=True)}
    return table(found, {**columns, **_DELIVERED}, own)


def _stream(found: Mapping[str, Results]) -> str:
    columns = {"First piece, ms": added("first_ms", 2), "Each piece, µs": added("piece_us")}
    columns |= {"Response, ms": added("response_ms", 2), "CPU, ms": added("cpu_ms")}
    names = ("first_ms", "piece_us", "response_ms", "cpu_ms")
    return table(found, columns, {head: number(name) for head, name in zip(columns, names, strict=True)})


PYTHONS = "What zespan_serverless adds to the function without telemetry, under each Python that was measured."


def pythons(documents: Mapping[str, Mapping[str, Any]]) -> str:
    """Return a table with the head figures of each Python."""
    figures = {
        "Init, ms": ("cold", added("init_ms", 0)),
        "First response, ms": ("cold", added("first_ms", 0)),
        "Memory, MB": ("cold", added("memory_mb")),
        "Response, ms": ("warm", added("response_ms", 2)),
        "Billed, ms": ("warm", added("billed_ms")),
        "CPU, ms": ("warm", added("cpu_ms", 2)),
        "Python calls": ("work", number("python_added", 0)),
        "C calls": ("work", number("c_added", 0)),
    }
    rows = []
    for document in documents.values():
        parts = document["parts"]
        cells = [cell(parts.get(part, {}).get("package", {})) for part, cell in figures.values()]
        rows.append([str(document["machine"]["python"]), *cells])
    return lines(["", *figures], rows)


SECTIONS: dict[str, tuple[str, str, Callable[[Any], str]]] = {
    "cold": ("Cold start", "The first row is the function without telemetry, the others what is added to it.", _cold),
    "source": ("Cold start without bytecode", "As `sam build` and most tools deploy a package.", _cold),
    "warm": ("Warm invocation", "One model call of 50 ms, a backend that takes 30 ms, and a freeze after each.", _warm),
    "work": (
        "Calls of functions in a warm invocation",
        "With one model call, in all threads, and with all that is sent before the return: the calls of the function "
        "without telemetry, and what is added to them. They are counted, and do not depend on the machine's speed.",
        _work,
    ),
    "tls": (
        "HTTPS, with a round trip",
        "The backend is 20 ms away and takes 10 ms. The first invocation makes the connection.",
        _tls,
    ),
    "freeze": (
        "Freeze",
        "Three model calls of 0.7 s in each invocation, a freeze of 2 s after each, and after the last one the end.",
        _freeze,
    ),
    "kill": ("Kill", "SIGKILL after the model call, as when memory is used up, then another invocation.", _kill),
    "outage": (
        "A backend that hangs",
        "The timeout of the function is 5 s. Eight seconds after the outage there are three more invocations.",
        _outage,
    ),
    "refusal": ("A backend that refuses connections", "The same.", _outage),
    "calls": ("1 to 500 model calls in an invocation", "The model takes no time.", _calls),
    "prompt": ("A prompt of 1 MB", "One model call of 50 ms.", _prompt),
    "stream": ("Streaming", "An answer in 200 pieces, which are all there when the first one is.", _stream),
    "quotas": (
        "128, 512 and 1,769 MB",
        "With the CPU and the memory that Lambda gives a function of that size, by Linux control groups. The first "
        "table compares what an invocation is billed for with one request written by hand.",
        _quotas,
    ),
    "web": (
        "Web servers",
        "One model call of 20 ms in each request. CPU is per request, and memory after the requests, both of "
        "all processes. The zespan SDK does not trace the asynchronous client, which the application on uvicorn uses.",
        _web,
    ),
    "events": (
        "Events a second",
        "One process captures events of 1 KB for 5 s, and a thread sends them to a backend that takes 30 ms. The "
        "settings are the default ones: what exceeds 1,000 waiting events is dropped and counted.",
        _events,
    ),
    "memory": ("Memory after many invocations", "One model call in each, which takes no time. No freezes.", _memory),
}
"""Part -> its heading, an introduction, and what makes its table."""
