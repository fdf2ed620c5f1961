"""Records the main thread's stack when an invocation reaches its deadline."""

from __future__ import annotations

import sys
import threading
import time
from typing import Any

from . import sigterm

FRAMES_MAX = 50


def deadline_note(deadline: float) -> dict[str, Any]:
    """Return the note for an invocation at its `deadline` (epoch seconds): the main thread's stack, innermost last."""
    lines: list[str] = []
    frame = sys._current_frames().get(threading.main_thread().ident or 0)
    while frame is not None and len(lines) < FRAMES_MAX:
        code = frame.f_code
        if code.co_filename == sigterm.__file__:
            lines.clear()  # our frames in a signal handler: what it interrupted is below them
        else:
            lines.append(f"{code.co_filename}:{frame.f_lineno} in {code.co_name}")
        frame = frame.f_back
    return {"deadline": deadline, "noted": time.time(), "stack": "\n".join(reversed(lines))}
