"""Ground: the log, the guard, threads, forks and asyncio. Knows nothing of telemetry."""
