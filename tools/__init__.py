"""What is needed to make the package, and not to use it."""
