"""What each line of the log means, and what to do about it, by its code: for docs/log-lines.md, see `log_lines`."""

from __future__ import annotations

_AWAY = "Events stay in the buffer, and in the journal if there is one; the next flush tries again."
_HOST = "The line names the host."

GROUPS: dict[str, dict[str, tuple[str, str]]] = {
    "Nothing is delivered for now": {
        "away-dns": (
            f"The name of the backend's host cannot be resolved. {_AWAY} {_HOST}",
            "Compare the host with `ZESPAN_BASE_URL` or `base_url`. If it is right, look it up from the same "
            "network: a function in a VPC needs a subnet whose resolver knows public names.",
        ),
        "away-refused": (
            f"The host has answered that nothing listens at this port. {_AWAY}",
            "Check the port in `ZESPAN_BASE_URL`, and that the backend, the collector or the proxy runs.",
        ),
        "away-timeout": (
            f"The backend was not reached, or has not answered, within `flush_timeout`. {_AWAY}",
            "Open a connection from the same network. A Lambda function in a private subnet needs a NAT gateway, "
            "and its security group has to let port 443 out. If it is reached but slow, raise `flush_timeout`.",
        ),
        "away-tls": (
            "The connection is not trusted: the certificate is for another name, has expired, or its issuer is "
            f"unknown. {_AWAY}",
            "If a proxy opens the traffic, give its certificate to Python (`SSL_CERT_FILE`), or to OTLP "
            "(`OTEL_EXPORTER_OTLP_CERTIFICATE`). Otherwise correct the host, or renew the certificate.",
        ),
        "away-proxy": (
            "Requests go through the proxy that `HTTPS_PROXY`, `HTTP_PROXY` or `ALL_PROXY` names, and that fails."
            f" {_AWAY} The line names the proxy, without its password.",
            "Check the proxy's address, its user and password (HTTP 407), and that it lets this host pass. To go "
            "around it, add the host to `NO_PROXY`.",
        ),
        "away-path": (
            f"The host answers HTTP 404 or 405: it does not know the path that events are posted to. {_AWAY}",
            "Set `ZESPAN_BASE_URL` to the scheme and host alone, such as `https://api.zespan.com`; the path is "
            "added. Behind a gateway, add the gateway's prefix.",
        ),
        "away-redirect": (
            "The host sends the request elsewhere. Redirects are not followed, because they would hand on the "
            f"key. {_AWAY}",
            "Set `ZESPAN_BASE_URL` to the address that the host redirects to; often `https://` in place of `http://`.",
        ),
        "away-page": (
            f"A page in HTML came back with HTTP 200: the answer of a login page or a proxy, not of a backend. {_AWAY}",
            "Open the address in a browser. Correct `ZESPAN_BASE_URL`, or have the proxy let these requests pass.",
        ),
        "away-busy": (
            "The backend has answered HTTP 429: too many requests. The pause that it asks for is kept, up to 60 "
            f"s. {_AWAY}",
            "If it goes on, lower `sample_rate`, or ask for a higher limit. Watch for "
            "[dropped-buffer_full](#dropped-buffer_full).",
        ),
        "away-server": (
            f"The backend fails at the requests, or is overloaded (HTTP 5xx). {_AWAY}",
            "Look at the status of the backend. There is nothing to do in the function; "
            "[operations.md](operations.md#when-the-backend-is-unavailable) says what happens meanwhile.",
        ),
        "away-key": (
            f"The key is in AWS (`api_key_secret`), and cannot be read from there. {_AWAY}",
            "The line has the answer of AWS. Allow the function's role to read the secret or parameter, and see "
            "[security.md](security.md#the-key-in-aws).",
        ),
        "away-other": (
            f"Sending has failed in another way, which the line quotes. {_AWAY}",
            "Check that the host can be reached from the function's network. If the exporter is your own, this is"
            " the exception that its `send` has raised.",
        ),
        "delivered-again": (
            "An outage, or the time in which the key was refused, is over. The line says how long it took, and "
            "how many events were dropped meanwhile.",
            "Nothing. If events were dropped, [operations.md](operations.md#so-that-an-outage-loses-nothing) says"
            " how to keep them the next time.",
        ),
        "no-time": (
            "The function had so little time left at its end that nothing could be sent: less than "
            "`flush_reserve`. The events wait for the next invocation in the same sandbox.",
            "Raise the timeout of the function. Or have the flush come first: `flush()` before the slow part.",
        ),
    },
    "Events are lost": {
        "dropped-buffer_full": (
            "More events wait than `max_events` or `max_bytes` allow, so the oldest are dropped.",
            "See why they wait: another line says so. If there is none, raise `max_events` and `max_bytes`, or "
            "lower `sample_rate`. A [fallback](parking.md) takes them before they are dropped.",
        ),
        "dropped-unauthorized": (
            "The backend does not accept the key (HTTP 401 or 403). The line has the last four characters of the "
            "key, and where it is from. Each batch that is refused is dropped, and the next one is tried.",
            "Set the variable that the line names to a valid key, see [operations.md](operations.md#rotating-the-key).",
        ),
        "dropped-refused": (
            "The backend does not accept these events (HTTP 400, 413, 422), or fails at one event again and again"
            " while it takes others. Only the event that is refused is dropped, not its batch.",
            "Look at the `payloads` that `on_error` is given: the events as they were sent, with prompts. If a "
            "field of the package itself is refused, report it.",
        ),
        "dropped-too_large": (
            "One event is larger than a batch may be (`batch_bytes`), or could not be sent within `flush_timeout`"
            " three times, while others were.",
            "Shorten what you attach, keep prompts out (`store_prompts`), or raise `batch_bytes` or `flush_timeout`.",
        ),
        "dropped-unencodable": (
            "An event could not be made or encoded. The line has the exception.",
            "If the exception is about one of your values, such as metadata or an event given to `capture()`, "
            "correct that. Otherwise report it.",
        ),
        "dropped-closed": (
            "The process ended, or `shutdown()` did, before these events could be delivered; or they were "
            "captured after that.",
            "Call `flush()` before the process ends, give the end more time, or set a [fallback](parking.md).",
        ),
        "dropped-torn": (
            "A process was killed while it wrote to its journal, and the last record is damaged.",
            "Nothing: one event at most is lost for each process that is killed in this moment.",
        ),
        "journal-expired": (
            "A journal of a dead process had events for another destination or another key, and nobody has "
            "claimed it for a day. It has been deleted.",
            "Nothing, if the key or the destination was changed meanwhile. Otherwise let processes with the same "
            "settings run in this sandbox.",
        ),
        "not-forwarded": (
            "The forwarder could not deliver a parked batch. With SQS it comes back to the queue, and goes to the"
            " dead-letter queue in the end.",
            "The line has the reason. Correct that, and send what is in the dead-letter queue with "
            "`zespan-serverless replay`.",
        ),
    },
    "Events are kept elsewhere": {
        "parked": (
            "The backend is unavailable, or the process ends, and the `fallback` is taking the events.",
            "When the backend is back, run the command that the line names, unless a forwarder does it by itself:"
            " [parking.md](parking.md).",
        ),
        "fallback-failed": (
            "The `fallback` does not take events, either. They wait in the buffer, and the oldest are dropped "
            "when it is full.",
            "The line has the answer of the store. Allow the function's role to write to it, and check the URL.",
        ),
        "fallback-off": (
            "The `fallback` could not be made at the start. Telemetry goes on without one.",
            "Correct the URL of the store, or install the package that the line names.",
        ),
        "left-in-journal": (
            "The process ended while events were waiting. They are in its journal, and the next process in the "
            "same sandbox or machine sends them.",
            "Nothing, if such a process comes. If this was the last one, set a [fallback](parking.md).",
        ),
        "journal-failed": (
            "The journal cannot be written: the disk is full or read-only, or the folder belongs to somebody "
            "else. Delivery goes on, but a crash now loses what waits.",
            "Free space in `/tmp`, or set `journal` to a folder that can be written; `journal=off` if you want none.",
        ),
        "journal-back": (
            "The journal can be written again.",
            "Nothing.",
        ),
        "journal-unsupported": (
            "This operating system has no file locks of the kind that the journal needs.",
            "Set `journal=off`, which is what happens anyway.",
        ),
    },
    "Settings": {
        "no-key": (
            "There is no key, so telemetry is off, or off for this destination. The function runs as without the "
            "package.",
            "Set the variable that the line names. If telemetry is to be off, say so with `ZESPAN_ENABLED=0`. If "
            "the line has found a variable of a similar name, rename that.",
        ),
        "key-quoted": (
            "The key has quotation marks around it, which are left out.",
            "Remove them where the variable is set: a file of variables for Docker takes them literally.",
        ),
        "key-unusual": (
            "Zespan's keys begin with `zsp_`, and this one does not. It is used as it is.",
            "Check that it is the key of the project, not that of a model's provider.",
        ),
        "no-tls": (
            "Events, with prompts and the key, go unencrypted to another machine.",
            "Use an address that begins with `https://`.",
        ),
        "variable-misspelled": (
            "A variable that begins with `ZESPAN_` is not a setting, but resembles one. It is ignored, unless it "
            "would keep data back: then it is obeyed.",
            "Rename it to the name that the line has.",
        ),
        "variable-code-only": (
            "This setting is a function or an object, and can be given in code only.",
            "Pass it to the decorator or to `init()`, and remove the variable.",
        ),
        "variable-unreadable": (
            "The value of a variable cannot be used. The line says what was expected, and what happens instead: "
            "it is ignored; or it counts as off, if it keeps data back; or telemetry is off, if it is the "
            "address.",
            "Set it to a value of the kind that the line names; [settings.md](settings.md) has them all.",
        ),
        "out-of-range": (
            "A number is too small or too large. The nearest one that is allowed is used.",
            "Set it to a value between the two that the line names.",
        ),
        "pairs-unreadable": (
            "Of a list such as `tags` or `headers`, a part is not `name=value`, or not allowed in a header. The "
            "value is not logged, because it may be a secret.",
            "Write `a=1,b=2`; percent-encode commas in values.",
        ),
        "otlp-variable": (
            "A variable of OpenTelemetry has a value that is not supported here.",
            "Use one of those that the line names; [backends.md](backends.md) has the variables.",
        ),
        "settings-differ": (
            "A process has one set of settings: that of the first decorator or `init()`. Others in a later one "
            "are ignored.",
            "Give settings in one place: in the environment, or in one `init()` before the decorators.",
        ),
        "destination-off": (
            "One of several destinations could not be made. The others get their events.",
            "The line has the reason.",
        ),
        "destination-twice": (
            "Two names in `exporter` lead to the same place. It gets every event once.",
            "Remove one of them, or give the second its own address.",
        ),
        "off-in-tests": (
            "Under pytest nothing is sent to another machine.",
            "Nothing; or `ZESPAN_ENABLED=1`, or the fixture in [testing.md](testing.md).",
        ),
    },
    "Lambda": {
        "no-extension": (
            "The process could not be registered as an extension, or the Extensions API does not answer. So "
            "flushes come before the response, which has to wait for them. A `WARNING` if `flush_mode` asks for "
            "`after_response`.",
            "Nothing, if the function is not on Lambda. On Lambda the line has the reason; ten extensions are the"
            " most that a function can have.",
        ),
        "snapstart-flush": (
            "With SnapStart, events are sent before the response, whatever `flush_mode` says.",
            "Set `flush_mode=auto`, which does the same without the line.",
        ),
        "snapstart-hooks": (
            "The functions that announce a snapshot are missing, so events that were captured before it may "
            "arrive once from each restored copy.",
            "Use Lambda's own runtime, which has the module `snapshot_restore_py`, or capture nothing while importing.",
        ),
        "handler-untraced": (
            "The handler that the layer's wrapper has found could not be decorated. It runs as without the package.",
            "The line has the reason. Decorate the handler yourself with `@zespan_lambda`.",
        ),
        "start-unreported": (
            "The function could not start, and the event that says so could not be sent either.",
            "Look at the error of the function in the same log: that is the one to correct.",
        ),
    },
    "Calls and spans": {
        "calls-untraced": (
            "Model calls are not traced in this process, because looking for their clients has failed.",
            "Report it, with the line. The function itself is not affected.",
        ),
        "not-patched": (
            "A client or framework could not be prepared when it was imported, so what the line names is missing."
            " Its calls work as without the package.",
            "Check its version against [models.md](models.md). If it should work, report the line.",
        ),
        "wrap-nothing": (
            "`wrap()` was given something whose calls it cannot trace.",
            'Give it a client object, such as `OpenAI()`, or trace by hand with `span(kind="llm")`: '
            "[by-hand.md](by-hand.md).",
        ),
        "stream-tokens": (
            "The answer of a streamed call has no token counts, because the request has not asked for them.",
            'Pass what the line says; for OpenAI that is `stream_options={"include_usage": True}`.',
        ),
        "stream-unread": (
            "A piece of a stream has a form that is not known. The function gets it unchanged; the event lacks "
            "what was in it.",
            "Report the line with the version of the client.",
        ),
        "call-not-in-journal": (
            "The start of a model call could not be written to the journal. The call itself is traced.",
            "Nothing; if the process is killed during the call, that call is missing.",
        ),
        "not-propagated": (
            "A request or message went out without the trace context. The callee's events are in a trace of their own.",
            "Report the line if it happens with a client that [tracing.md](tracing.md) names.",
        ),
        "no-span": (
            "`current_span()` was called where there is no span of that kind. What is set on the result goes nowhere.",
            "Call it inside `with span(...)`, or remove it.",
        ),
        "span-arguments": (
            "`span()` was given a kind or an argument that does not exist, or lacks one. What is wrong is left out.",
            "The line says what to write instead.",
        ),
        "span-method": (
            "A method of a span was called that its kind does not have, or with wrong arguments. The call does "
            "nothing.",
            "The line names the arguments; [by-hand.md](by-hand.md) has the kinds.",
        ),
        "field-unknown": (
            "An event given to `capture()` has a field whose name resembles one that backends know.",
            "Rename it, unless it is meant so.",
        ),
        "metadata-left-out": (
            "Metadata or tags of a span could not be read.",
            "Give them as a mapping of strings to plain values.",
        ),
        "too-many-tags": (
            "There are more tags than an event may have.",
            "Remove some; put details into `metadata`.",
        ),
        "not-a-number": (
            "A number of tokens or a cost that was set on a span is not one.",
            "Give tokens as an int from 0 on, and the cost in dollars.",
        ),
        "tokens-counted-inside": (
            "A span was given tokens, and a traced call inside it has them as well. They are counted once, with "
            "the call.",
            "Leave the tokens of the span out.",
        ),
        "prompt-unread": (
            "The `messages` of a span could not be read. The span is sent without them.",
            "Give a string, or a list of messages as the provider takes them.",
        ),
        "reader-failed": (
            "A function given as `user_id`, `session_id` or `conversation_id` has raised.",
            "Have it take one argument, which [by-hand.md](by-hand.md#users-sessions-conversations-tags) names for "
            'each host, and return None for events without one: `lambda event: event.get("user")`.',
        ),
        "reader-awaitable": (
            "Such a function is asynchronous, and is not awaited.",
            "Use a plain function or a lambda.",
        ),
        "replaying-failed": (
            "The function that tells whether a durable step is being replayed has raised. The step is sent, "
            "perhaps twice.",
            "Correct the function that you pass as `is_replaying`.",
        ),
    },
    "Other SDKs": {
        "other-flush-failed": (
            "The flush of another SDK that the setting `flush` names has failed.",
            "The line has its exception; look at that SDK's own log.",
        ),
        "other-flush-slow": (
            "The flush of another SDK used up the time. The function does not wait for it until it has been quick"
            " again.",
            "Check that the other SDK reaches its backend, or take it out of `flush`.",
        ),
        "sdk-not-adopted": (
            "The official SDK, or one of its packages, could not be connected, so it sends its events itself.",
            "Events arrive, but not within the function's deadline. Report the line with the SDK's version.",
        ),
        "sdk-calls-taken-over": (
            "The official SDK has patched a client that this package traces, too. Each call is sent once, by this"
            " package.",
            "Nothing.",
        ),
        "sdk-failed": (
            "A function of the official SDK is not as expected.",
            "Report the line with the SDK's version; [migrate/zespan.md](migrate/zespan.md) says which are known.",
        ),
    },
    "The package itself": {
        "telemetry-failed": (
            "Something of the package has failed, and was caught. The function is not affected; the event of that"
            " place may be missing.",
            "Report the line: it should not happen.",
        ),
        "listener-failed": (
            "Your `on_error` or `on_flush`, or a handler of the log, has raised.",
            "The line has the exception: correct the function.",
        ),
        "listener-hangs": (
            "Your `on_error` or `on_flush` was called more than a second ago and has not returned. It is not called "
            "again until it does; what it is to get is kept for it.",
            "Give its requests a timeout, and have it wait for nothing.",
        ),
        "flush-report": (
            "With `debug=True`: what a flush has done. `pending` with a `reason` says why events wait.",
            "Remove `debug` or `ZESPAN_DEBUG` when you have seen enough.",
        ),
        "not-connected": (
            "The connection could not be opened ahead of the first request.",
            "Nothing: the request says more.",
        ),
        "journal-unreadable": (
            "A journal in the folder could not be read.",
            "Nothing: it may be another process's.",
        ),
        "sigterm-unwatched": (
            "The end of the process is not noticed, because signals, sockets or threads are not available.",
            "Call `shutdown()` at the end of the program.",
        ),
    },
}
"""By the title of a section of the page and the code of a line: what the line means, and what to do."""

TEXTS = {
    "not-patched": "… calls are not traced: …\nthe trace context is not propagated by …: …\n… sends its own events: …",
    "span-arguments": "a span of kind … has no …, did you mean …?\na span of kind … needs …",
}
"""Texts of lines that are put together elsewhere."""
