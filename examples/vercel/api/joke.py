"""A handler class, the simplest kind of Python function on Vercel."""

from http.server import BaseHTTPRequestHandler

from openai import OpenAI

from zespan_serverless import zespan_vercel

client = OpenAI()


@zespan_vercel
class handler(BaseHTTPRequestHandler):  # noqa: N801 (Vercel's name for it)
    def do_GET(self) -> None:
        answer = client.chat.completions.create(
            model="gpt-4o", messages=[{"role": "user", "content": "Tell me a joke."}]
        )
        body = (answer.choices[0].message.content or "").encode()
        self.send_response(200)
        self.send_header("content-type", "text/plain; charset=utf-8")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
