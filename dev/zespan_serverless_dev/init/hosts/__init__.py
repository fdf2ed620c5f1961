"""What each kind of project needs. Each module has `plan(draft, project)`, which changes the draft."""
