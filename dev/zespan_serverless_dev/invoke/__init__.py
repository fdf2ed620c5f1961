"""`zespan-serverless invoke`: runs a Lambda function under AWS's emulator, and accounts for each of its events.

plan         what is asked for: the options, the events, the environment      samples, durations
session      runs the calls: sandbox, faults, signals, freezes                 collectors, cpu
call         one call, put together from what was seen outside and inside
ledger       the state of each event: delivered, waiting, dropped, lost        journals
lifecycle    tells a running `dev` what happens, and obeys its controls
drawing      what the terminal shows; report, the same as JSON
"""
