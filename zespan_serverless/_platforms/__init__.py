"""What cloud platforms say in environment variables, headers and APIs. Knows no host."""
