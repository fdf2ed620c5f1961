"""What the environment, or a vendor's header, reveals about a process or a request: one module per platform."""
