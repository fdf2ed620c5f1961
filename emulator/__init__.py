"""Lambda on this machine: the real emulator, a model endpoint and a demo. Not part of the package."""
