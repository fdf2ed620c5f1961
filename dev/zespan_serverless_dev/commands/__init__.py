"""The commands that the main command `zespan-serverless` finds here, one module each."""
