"""`python -m zespan_serverless`: the command `zespan-serverless`, where its script is not on the PATH."""

from __future__ import annotations

from .cli import main

if __name__ == "__main__":
    raise SystemExit(main())
