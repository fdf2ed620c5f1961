"""An agent with a tool, whose runs are traced. `adk api_server` and `adk deploy` find it in this folder."""

from google.adk.agents import Agent
from google.adk.apps import App

from zespan_serverless import span
from zespan_serverless.adk import ZespanPlugin


def opening_hours(city: str) -> str:
    """Return when the shop in a city is open."""
    with span("opening_hours", kind="tool", arguments={"city": city}) as call:
        hours = "9 to 18" if city == "Berlin" else "10 to 19"
        call.result(hours)
        return hours


root_agent = Agent(name="chat", model="gemini-2.5-flash", instruction="Answer in one sentence.", tools=[opening_hours])
app = App(name="chat", root_agent=root_agent, plugins=[ZespanPlugin(environment="staging")])
