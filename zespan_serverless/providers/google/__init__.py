"""Google's SDK `google-genai`: Gemini by the Developer API and on Vertex AI.

    _generate      content and its streams        _embed   embeddings
    _interactions  interactions, their streams    _images  images

The private methods are traced: the public ones call them once per model call, even if functions are called
automatically in between.
"""

from __future__ import annotations

from ._embed import Embed
from ._generate import Generate, Stream
from ._images import Images
from ._interactions import Create

CHOKES = (Generate(), Stream(), Embed(), Images(), Create())
