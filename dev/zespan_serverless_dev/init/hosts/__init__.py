"""Defines the changes for each kind of project. Each module has `plan(draft, project)`, which changes the draft."""
