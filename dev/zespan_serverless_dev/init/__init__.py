"""`zespan-serverless init`: the few lines that trace a project, as a diff.

`found.py` asks the readers of the doctor what the project is. The modules of `hosts/` decide what each kind of project
needs. The editors (`code.py`, `yaml.py`, `json.py`, `hcl.py`, `requirements.py`) change texts, and each proves by a
parser that only the wanted thing has changed. `draft.py` collects it all, and `writing.py` shows or writes it.
"""
