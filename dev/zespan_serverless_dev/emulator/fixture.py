"""The fixture `lambda_sandbox`: the plugin of pytest in `zespan_serverless.testing` finds it by an entry point."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from zespan_serverless_dev.emulator.binary import EmulatorUnavailable, emulator_binary
from zespan_serverless_dev.emulator.lambda_rie import Sandbox


@contextmanager
def sandboxes(root: Path, environment: Mapping[str, str]) -> Iterator[Callable[..., Sandbox]]:
    """What starts sandboxes with these variables, and stops them at the end. Skips the test where none can run.

    `root`: the folder that the folder of the code is relative to, and its default.
    """
    if find_spec("awslambdaric") is None:
        pytest.skip("AWS's runtime client for Lambda is not installed: pip install awslambdaric")
    try:
        emulator_binary()
    except EmulatorUnavailable as error:
        pytest.skip(str(error).partition("\n")[0])
    with ExitStack() as started:

        def start(handler: str, folder: Path | str = ".", **options: Any) -> Sandbox:
            options["env"] = {**environment, **(options.get("env") or {})}
            return started.enter_context(Sandbox(handler, root / folder, **options))

        yield start
