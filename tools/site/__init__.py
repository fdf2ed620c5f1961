"""Builds the documentation site from the Markdown files of the repository.

`pages` says which files become pages, `links` and `markdown` turn what GitHub shows into what the site generator reads,
`reference` writes the API reference, `navigation` the menu, `twins` the Markdown files beside the pages, and `check`
finds dead links in what was built. `python -m tools.site` runs them all.
"""
