"""Rules on clients, where the place for a client is another one than on Lambda."""

from __future__ import annotations

from pathlib import Path

from zespan_serverless_dev.doctor.readers import read
from zespan_serverless_dev.doctor.run import diagnose, selected

CLOUDFLARE = """\
from openai import AsyncOpenAI
from workers import WorkerEntrypoint
from zespan_serverless import zespan_cloudflare


@zespan_cloudflare
class Default(WorkerEntrypoint):
    async def fetch(self, request):
        client = AsyncOpenAI(api_key=self.env.OPENAI_API_KEY)
"""
MODAL = """\
import modal
from openai import OpenAI
from zespan_serverless.modal import zespan_modal

app = modal.App("chat")


@app.function()
@zespan_modal
def answer(question):
    client = OpenAI()
"""

VERCEL_STEP = """\
from vercel.workflow import Workflows
from zespan_serverless import zespan_vercel_step

wf = Workflows()


@wf.step
@zespan_vercel_step
async def summarize(text):
    from openai import AsyncOpenAI

    client = AsyncOpenAI()
"""


def remedies(folder: Path, code: str) -> list[str]:
    """Return what the doctor says on clients that are made in handlers."""
    (folder / "app.py").write_text(code)
    return [one.remedy or one.rule.remedy for one in diagnose(read(folder), selected(["ZS111"], [])).findings]


def test_client_of_a_worker_of_cloudflare_is_made_in_the_request(tmp_path: Path) -> None:
    """A Worker may not connect while its module is imported, and has its key only in a request."""
    assert remedies(tmp_path, CLOUDFLARE) == []


def test_client_of_modal_is_made_when_the_container_starts(tmp_path: Path) -> None:
    """At module level it would be made without a key on the machine that deploys."""
    assert [("@modal.enter()" in each) for each in remedies(tmp_path, MODAL)] == [True]


def test_client_of_a_step_of_a_workflow_is_made_in_the_step(tmp_path: Path) -> None:
    """The module of a workflow on Vercel is imported in a sandbox that refuses the client's package."""
    assert remedies(tmp_path, VERCEL_STEP) == []
