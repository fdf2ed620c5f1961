"""A project as the rules see it, whatever files it was read from."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from .source import Module

Host = Literal[
    "aws_lambda",
    "google_cloud",
    "azure_functions",
    "vercel",
    "cloudflare",
    "container",
    "alibaba",
    "oracle",
    "digitalocean",
    "openfaas",
    "knative",
    "cog",
]


SHELL = Path("(environment)")
"""Stands for the doctor's own environment instead of a file."""


@dataclass(frozen=True)
class Place:
    """Where something is written. `line` counts from 1; None if the format keeps no lines."""

    file: Path
    line: int | None = None


class Unknown:
    """The type of `UNKNOWN`: a value that only the deployment knows, such as a parameter or a resource."""

    def __repr__(self) -> str:
        return "UNKNOWN"


UNKNOWN = Unknown()


@dataclass(frozen=True)
class Variable:
    """One environment variable of a function. `value` is UNKNOWN where the file has an expression."""

    name: str
    value: str | Unknown
    place: Place


@dataclass(frozen=True)
class Source:
    """What invokes a function."""

    kind: str  # "sqs", "api", "url", "schedule", "stream", "s3", "sns", "http", "queue", ...
    place: Place
    visibility_timeout_s: int | Unknown | None = None  # of an SQS queue that is in the same project
    queue: Place | None = None  # where the queue's visibility timeout, or else the queue, is written
    reports_batch_failures: bool | None = None


@dataclass(frozen=True)
class Layer:
    """A Lambda layer that the project makes."""

    name: str
    place: Place
    code: Path | None = None  # a folder, or a zip
    runtimes: tuple[str, ...] = ()  # the declared compatible ones; none if not declared
    architectures: tuple[str, ...] = ()


@dataclass
class Function:
    """One function. A field is None if no file sets it, and UNKNOWN if an expression sets it."""

    name: str
    host: Host
    place: Place
    handler: str | Unknown | None = None  # "app.handler"
    code: Path | None = None  # the folder with its code, if that is in the project
    runtime: str | Unknown | None = None  # "python3.13"
    architecture: str | Unknown | None = None
    timeout_s: float | Unknown | None = None  # the platform's default where no file sets one
    memory_mb: int | Unknown | None = None
    environment: dict[str, Variable] = field(default_factory=dict)
    environment_is_partial: bool = False  # more variables may be set, by an expression or outside of all files
    built: Path | None = None  # the folder that a tool has built for deployment
    layers: list[str | Unknown] = field(default_factory=list)  # names in `Project.layers`, or ARNs
    actions: set[str] | Unknown = field(default_factory=set)  # IAM actions that its role allows, in lower case
    sources: list[Source] = field(default_factory=list)
    in_vpc: bool = False
    has_egress: bool | None = None  # in a VPC: a NAT gateway, or an endpoint, is in the project
    has_cpu_after_response: bool | None = None  # Cloud Run: billed by instance
    snapstart: bool = False
    log_retention_days: int | Unknown | None = None
    log_group: Place | None = None  # its log group, if that is in the project
    is_packaged_as_image: bool = False
    starts_in_shell: bool = False  # a container whose first process is a shell
    places: dict[str, Place] = field(default_factory=dict)  # of the fields above, by their names


@dataclass
class Project:
    """Everything that was read below one path."""

    root: Path
    functions: list[Function] = field(default_factory=list)
    layers: dict[str, Layer] = field(default_factory=dict)
    read: list[Path] = field(default_factory=list)
    skipped: list[tuple[Path, str]] = field(default_factory=list)  # a file that could not be read, and why
    variables: list[Variable] = field(default_factory=list)  # of no function: .env, Dockerfile, SHELL
    modules: list[Module] = field(default_factory=list)  # of Python
