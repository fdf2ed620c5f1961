"""A Cog model. docs/hosts/cog.md explains it."""

from cog import BaseRunner, Input
from openai import OpenAI

from zespan_serverless import zespan_cog


class Runner(BaseRunner):
    def setup(self) -> None:
        self.client = OpenAI()

    @zespan_cog
    def run(self, prompt: str = Input(description="The question")) -> str:
        question = {"role": "user", "content": prompt}
        chat = self.client.chat.completions.create(model="gpt-4o", messages=[question])
        return chat.choices[0].message.content
