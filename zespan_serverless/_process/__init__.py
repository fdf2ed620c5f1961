"""What exists once in a process: the container, and the watch for SIGTERM."""
