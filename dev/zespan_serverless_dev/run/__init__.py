"""`zespan-serverless run`: runs any program with its telemetry sent to this machine, and reports on it at the end."""
