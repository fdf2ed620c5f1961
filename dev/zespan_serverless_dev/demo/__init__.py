"""`make demo`, or `python -m zespan_serverless_dev.demo`: what happens to traces in a serverless function, and why."""
