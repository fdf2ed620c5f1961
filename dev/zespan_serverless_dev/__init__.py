"""The tools of zespan-serverless for developers: what a function sends, when, and at what cost."""
