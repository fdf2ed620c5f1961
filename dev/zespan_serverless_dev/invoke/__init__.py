"""`zespan-serverless invoke`: runs a Lambda function under AWS's emulator, and accounts for each of its events.

plan         the request: options, events, environment      samples, durations session      runs the calls: sandbox,
faults, signals, freezes                 collectors, cpu call         one call, as observed outside and inside ledger
the state of each event: delivered, waiting, dropped, lost        journals lifecycle    reports to a running `dev`, and
obeys its controls drawing      terminal output; report, the same as JSON
"""
