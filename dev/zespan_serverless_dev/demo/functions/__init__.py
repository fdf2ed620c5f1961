"""One function, four times: without telemetry, with the official SDK in two ways, and with this package."""
