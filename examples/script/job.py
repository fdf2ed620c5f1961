"""A nightly job: sums up what there is, one model call for each line of its input."""

import sys

from openai import OpenAI

from zespan_serverless import run, span

client = OpenAI()


def summary(text: str) -> str:
    answer = client.chat.completions.create(
        model="gpt-4o", messages=[{"role": "user", "content": f"Sum this up in one sentence: {text}"}]
    )
    return answer.choices[0].message.content or ""


@run("nightly digest")
def main() -> None:
    lines = [line.strip() for line in sys.stdin if line.strip()]
    if not lines:
        sys.exit("nothing to do")  # exit code 1, and so says the event
    for line in lines:
        with span("line"):
            print(summary(line))


if __name__ == "__main__":
    main()
