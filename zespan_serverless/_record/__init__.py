"""What is captured: invocations, events, redaction, and calls that never finished."""
