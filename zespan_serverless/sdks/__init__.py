"""Other telemetry SDKs that may be there already."""
