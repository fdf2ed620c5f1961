"""SDKs of model providers, each in a room of its own."""
