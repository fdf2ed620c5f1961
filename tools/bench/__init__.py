"""Compares the package with other telemetry SDKs on AWS's Lambda emulator and in web servers: `make bench`."""
