"""A function for Knative. docs/hosts/kubernetes.md explains it."""

from openai import AsyncOpenAI

from zespan_serverless.asgi import ZespanMiddleware


class Function:
    def __init__(self):
        self.handle = ZespanMiddleware(self.handle)

    async def handle(self, scope, receive, send):
        async with AsyncOpenAI() as client:
            question = {"role": "user", "content": "Hi"}
            answer = await client.chat.completions.create(model="gpt-4o", messages=[question])
        text = answer.choices[0].message.content.encode()
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/plain")]})
        await send({"type": "http.response.body", "body": text})


def new():
    return Function()
