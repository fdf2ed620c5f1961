"""`zespan-serverless run`: any program, with its telemetry sent to this machine, and an account of it at the end."""
