"""The shapes of the API: what may come in, what goes out, and what an error looks like.

New since the last chapter: strangers. Until now every value came from a flag that you typed; here a
program that we have never seen sends JSON, so every field has a type, a range and a clear refusal. The
shapes are OpenAI's, which most clients speak. Left out on purpose: tools, log probabilities, pictures,
and the token ids that a prompt may also be. Nothing in this file knows the model or the network.
"""

import json
import re
import secrets
import time
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field
from pydantic_core import PydanticCustomError

MAX_CHARACTERS = 100_000  # of one prompt, and of one story on the shelf
MAX_CHOICES = 8  # stories in one answer: prompts times n
MAX_MESSAGES = 200
SEED_RANGE = {"ge": -(2**63), "le": 2**63 - 1}


class APIError(Exception):
    """A refusal: an HTTP status and OpenAI's error object."""

    def __init__(self, status, message, kind="invalid_request_error", param=None, code=None, headers=None):
        super().__init__(message)
        self.status, self.headers = status, headers or {}
        self.body = {"error": {"message": message, "type": kind, "param": param, "code": code}}


def refuse(message):
    """What a validator raises: the message goes to the client as it is."""
    return PydanticCustomError("refused", message.replace("{", "(").replace("}", ")"))


def validation_error(errors):
    """The first complaint of pydantic (a list of dicts) as an APIError that names the field."""
    first = errors[0]
    path = [str(part) for part in first["loc"] if part not in ("body", "path", "query")]
    param = ".".join(path) or None
    if first["type"] == "json_invalid":
        return APIError(400, f"the body is not valid JSON: {first['ctx']['error']}")
    if param is None:
        return APIError(400, "the body must be a JSON object, sent with Content-Type: application/json")
    if first["type"] == "missing":
        message = f"'{param}' is missing"
    elif first["type"] == "extra_forbidden":
        message = f"'{param}' is not a parameter that this server knows"
    elif first["type"] == "refused":
        message = f"'{param}' {first['msg']}"
    else:
        message = f"'{param}': {first['msg'][0].lower()}{first['msg'][1:]}"
    return APIError(400, message, param=param)


# ---- what may come in


def text_of(value):
    """A prompt, checked: not empty, not endless, and text that UTF-8 can hold."""
    if not isinstance(value, str):
        raise refuse("must be text or a list of texts; token ids are not supported")
    if not value.strip():
        raise refuse("is empty; a story needs a beginning")
    if len(value) > MAX_CHARACTERS:
        raise refuse(f"has {len(value)} characters; at most {MAX_CHARACTERS} are read")
    if not is_unicode(value):
        raise refuse("is not valid Unicode: it holds half of a surrogate pair")
    return value


def is_unicode(text):
    """False where JSON's escapes smuggled in half of a surrogate pair, which no UTF-8 text can hold."""
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


def list_of_texts(value):
    """A prompt or a list of prompts, as a list."""
    texts = value if isinstance(value, list) else [value]
    if not texts:
        raise refuse("is an empty list; a story needs a beginning")
    return [text_of(text) for text in texts]


def list_of_stops(value):
    """A stop string or up to four of them, as a tuple."""
    if value is None:
        return ()
    stops = tuple(value) if isinstance(value, list) else (value,)
    if len(stops) > 4 or not all(isinstance(stop, str) and 0 < len(stop) <= 100 for stop in stops):
        raise refuse("must be a string, or a list of up to four, each of 1 to 100 characters")
    return stops


def only(*values):
    """A parameter of OpenAI's that this server has not: the values that ask for nothing are accepted."""
    def check(value):
        if value not in values:
            raise refuse("is not supported by this server")
        return value
    return Annotated[Any, AfterValidator(check)]


class StreamOptions(BaseModel):
    include_usage: bool = False
    include_obfuscation: bool = False  # padding against eavesdroppers: accepted, never added


class Wanted(BaseModel):
    """What both kinds of request may say. null means the default, as it does at OpenAI."""

    model_config = ConfigDict(strict=True, extra="forbid")

    model: str | None = None
    max_tokens: int | None = Field(None, ge=1)  # None: until the story or the context ends
    temperature: float | None = Field(None, ge=0, le=2, allow_inf_nan=False)
    top_p: float | None = Field(None, gt=0, le=1, allow_inf_nan=False)
    seed: int | None = Field(None, **SEED_RANGE)
    stop: Annotated[tuple, BeforeValidator(list_of_stops)] = ()
    n: int | None = Field(None, ge=1, le=MAX_CHOICES)
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    user: str | None = None  # accepted and not used
    # Extensions, with the names that other servers use for them.
    top_k: int | None = Field(None, ge=0)
    min_p: float | None = Field(None, ge=0, le=1, allow_inf_nan=False)
    repetition_penalty: float | None = Field(None, ge=0.5, le=2, allow_inf_nan=False)
    truncate_prompt_tokens: int | None = Field(None, ge=1)  # keep only the prompt's last tokens
    # Asked for nothing, these pass.
    frequency_penalty: only(None, 0) = None
    presence_penalty: only(None, 0) = None
    logit_bias: only(None, {}) = None
    logprobs: only(None, False) = None

    def settings(self):
        """The fields that decide how tokens are chosen, those that were given."""
        names = ("temperature", "top_p", "top_k", "min_p", "repetition_penalty", "max_tokens", "stop")
        return {name: getattr(self, name) for name in names if getattr(self, name) is not None}

    @property
    def wants_usage(self):
        return bool(self.stream_options and self.stream_options.include_usage)


class CompletionRequest(Wanted):
    prompt: Annotated[list, BeforeValidator(list_of_texts)]
    echo: bool | None = None
    best_of: only(None, 1) = None
    suffix: only(None, "") = None


def text_of_parts(value):
    """A message's content: text, or a list of {"type": "text", "text": …}, joined."""
    parts = value if isinstance(value, list) else [{"type": "text", "text": value}]
    texts = [part.get("text") if isinstance(part, dict) and part.get("type") == "text" else None for part in parts]
    if not all(isinstance(text, str) for text in texts):
        raise refuse("must be text, or a list of parts of type 'text'")
    return "".join(texts)


class Message(BaseModel):
    role: Literal["system", "developer", "user", "assistant"]
    content: Annotated[str, BeforeValidator(text_of_parts)]
    name: str | None = None


class ChatRequest(Wanted):
    messages: list[Message] = Field(min_length=1, max_length=MAX_MESSAGES)
    max_completion_tokens: int | None = Field(None, ge=1)
    tools: only(None, []) = None
    tool_choice: only(None, "none", "auto") = None
    response_format: only(None, {"type": "text"}) = None
    top_logprobs: only(None, 0) = None

    def settings(self):
        settings = super().settings()
        if self.max_completion_tokens is not None:  # the newer name of max_tokens
            settings["max_tokens"] = self.max_completion_tokens
        return settings


# ---- a chat as a story

GO_ON = re.compile(r"(please[, ]*)?"
                   r"(go on|continue|keep going|tell me more|more|next|and then|what happens next)"
                   r"([, ]*please)?[ .!?…]*", re.IGNORECASE)


def story_so_far(messages):
    """A conversation as the beginning of one story, because the model has learned nothing but stories.

    What the user wrote and what the assistant told are joined in their order, with a space where
    neither side brings one. A user's message that only says "go on" (or "continue", "and then?", …)
    adds nothing. System and developer messages are instructions, which this model cannot follow: they
    are left out. Raises APIError where no story remains.
    """
    story = ""
    for message in messages:
        text = message.content
        if message.role in ("system", "developer"):
            continue
        if message.role == "user" and GO_ON.fullmatch(text.strip()):
            continue
        if story and text and not story[-1].isspace() and (text[0].isalnum() or text[0] in "\"'“‘("):
            story += " "
        story += text
    try:
        return text_of(story)
    except PydanticCustomError as error:
        raise APIError(400, f"'messages' {error.message_template}", param="messages") from None


# ---- what goes out


class Reply:
    """Builds the objects that answer one request: whole, or piece by piece. One id for all of them."""

    def __init__(self, model, chat=False):
        self.chat = chat
        self.head = {"id": ("chatcmpl-" if chat else "cmpl-") + secrets.token_hex(12),
                     "object": "chat.completion" if chat else "text_completion",
                     "created": int(time.time()), "model": model}

    def whole(self, stories, usage):
        """The answer in one piece. stories: a list of (text, finish reason)."""
        choices = [{"index": index, "message": {"role": "assistant", "content": text, "refusal": None},
                    "logprobs": None, "finish_reason": reason} if self.chat else
                   {"index": index, "text": text, "logprobs": None, "finish_reason": reason}
                   for index, (text, reason) in enumerate(stories)]
        return {**self.head, "choices": choices, "usage": usage}

    def chunk(self, index, text=None, reason=None, role=None):
        """One piece of story `index` in a stream, or its end (with the reason)."""
        if self.chat:
            said = {"role": role} if role else {}
            choice = {"index": index, "delta": said if text is None else {**said, "content": text},
                      "logprobs": None, "finish_reason": reason}
            return {**self.head, "object": "chat.completion.chunk", "choices": [choice]}
        return {**self.head, "choices": [{"index": index, "text": text or "", "logprobs": None,
                                          "finish_reason": reason}]}

    def usage(self, usage):
        """The last piece of a stream, for those who asked how many tokens it was."""
        kind = "chat.completion.chunk" if self.chat else "text_completion"
        return {**self.head, "object": kind, "choices": [], "usage": usage}


def count_tokens(prompt_tokens, completion_tokens):
    """OpenAI's usage object."""
    return {"prompt_tokens": prompt_tokens, "completion_tokens": completion_tokens,
            "total_tokens": prompt_tokens + completion_tokens}


def sse(data):
    """One server-sent event as bytes: `data: `, the JSON on one line, and an empty line that ends it."""
    return b"data: " + json.dumps(data, ensure_ascii=False).encode("utf-8") + b"\n\n"


SSE_DONE = b"data: [DONE]\n\n"
