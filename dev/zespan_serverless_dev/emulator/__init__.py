"""Runs Lambda on this machine: AWS's emulator, a stand-in for a model, a demo and measurements. Not shipped."""
