"""Every API that is traced: how its SDK is called, what the provider answers, and what the event has to have."""

from __future__ import annotations

from tests.providers.apis.anthropic_ import ANTHROPIC
from tests.providers.apis.bedrock import BEDROCK_IMAGES, CONVERSE, INVOKE
from tests.providers.apis.cohere_ import COHERE, RERANK
from tests.providers.apis.google_ import GOOGLE, GOOGLE_EMBED, GOOGLE_IMAGES, GOOGLE_INTERACTIONS
from tests.providers.apis.like_openai import GROQ, MISTRAL
from tests.providers.apis.openai_ import CHATS, COMPLETIONS, EMBEDDINGS, IMAGES, MODERATIONS, RESPONSES, TRANSCRIPTIONS

APIS = {
    api.name: api
    for api in (
        *(CHATS, RESPONSES, COMPLETIONS, EMBEDDINGS, IMAGES, MODERATIONS, TRANSCRIPTIONS, ANTHROPIC, GROQ, MISTRAL),
        *(COHERE, RERANK, GOOGLE, GOOGLE_EMBED, GOOGLE_IMAGES, GOOGLE_INTERACTIONS, CONVERSE, INVOKE),
        BEDROCK_IMAGES,
    )
}
