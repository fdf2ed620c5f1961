"""One module for each kind of file: it reads what it finds in a project into the model."""
