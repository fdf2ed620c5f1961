"""The pages of docs/hosts/: their Python is run by the tests of each host."""

from __future__ import annotations

from tests.documentation import PAGES, blocks


def test_every_block_is_run() -> None:
    """A new example needs a new test."""
    counts = {name: len(blocks(page)) for name, page in PAGES.items() if name.startswith("hosts/")}
    assert {name: count for name, count in counts.items() if count} == {
        "hosts/azure-functions": 3,  # in azure_functions/test_examples.py
        "hosts/google-cloud": 2,  # in google_cloud/test_example.py
        "hosts/lambda-durable": 1,  # in aws_lambda/test_durable.py
        "hosts/lambda-snapstart": 1,  # in aws_lambda/test_snapstart.py
        "hosts/lambda-web": 1,  # in aws_lambda/test_web.py
        "hosts/other-hosts": 1,  # in jobs/test_example.py
        "hosts/scripts": 2,  # in jobs/test_example.py
        "hosts/vercel": 2,  # in vercel/test_example.py
        "hosts/web": 2,  # in web/test_examples.py
    }
