"""`zespan-serverless tail`: prints traces of a running `dev`; `formats` is also how `run` prints them."""
