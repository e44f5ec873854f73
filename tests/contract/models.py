"""The models of the OpenAPI document, for tests. `make generate` writes this file."""

from __future__ import annotations

# ruff: noqa: E501 - texts of the document stay on one line
from datetime import datetime
from typing import Annotated, Any, Literal, TypeAlias

from msgspec import UNSET, Meta, Struct, UnsetType, field

ChangedLabel: TypeAlias = (
    Annotated[
        str,
        Meta(
            description="The new value of a label, or in a merge null for one that goes.",
            max_length=63,
            pattern="^(?:[A-Za-z0-9](?:[-A-Za-z0-9_.]*[A-Za-z0-9])?)?$",
        ),
    ]
    | None
)


class Compatibility(Struct, kw_only=True):
    """
    What callers can rely on.
    """

    api_version: Literal["v1"]
    compatible: bool
    features: Annotated[
        list[str], Meta(description="What the running service can do beyond the first version of the API.")
    ]


class Conflict(Struct, kw_only=True):
    """
    The resource that a request conflicts with.
    """

    kind: Annotated[str, Meta(description="The kind of the resource.")]
    id: Annotated[str, Meta(description="The id of the resource.")]
    href: Annotated[str, Meta(description="The address of the resource.")]


class FieldError(Struct, kw_only=True):
    """
    One error in a field or parameter.
    """

    field_: Annotated[str, Meta(description="Its path, such as `spec.nodes` or `conditions[0].type`.")] = field(
        name="field"
    )
    message: Annotated[str, Meta(description="What is wrong, for people.")]
    constraint: Annotated[str, Meta(description="What is allowed.")] | UnsetType = UNSET
    value: Annotated[Any, Meta(description="The value that was sent, if it is short enough to repeat.")] | UnsetType = (
        UNSET
    )


class ForcedDeletion(Struct, kw_only=True):
    """
    Why a resource is removed although its deletion still waits for something.
    """

    reason: Annotated[str, Meta(description="For the audit log.", max_length=1024, min_length=1)]


LabelValue: TypeAlias = Annotated[str, Meta(max_length=63, pattern="^(?:[A-Za-z0-9](?:[-A-Za-z0-9_.]*[A-Za-z0-9])?)?$")]


Labels: TypeAlias = Annotated[dict[str, LabelValue], Meta(max_length=64)]
"""
Labels, as in Kubernetes. A key has at most 255 characters: a name of up to 63 letters, digits, `-`, `_` and `.`,
perhaps with a domain name and `/` before it. A value is such a name or empty.
"""


class NewAnyResource(Struct, kw_only=True):
    """
    The body that creates a resource of a kind without an owner.
    """

    kind: Annotated[str, Meta(description="The kind of the resource.")]
    name: str
    spec: dict[str, Any]
    labels: dict[str, LabelValue] | None = None
    references: Annotated[dict[str, Any], Meta(description="The referenced resources, by type.")] | None = None
    id: Any | UnsetType = UNSET
    href: Any | UnsetType = UNSET
    owner_references: Any | UnsetType = UNSET
    generation: Any | UnsetType = UNSET
    resource_version: Any | UnsetType = UNSET
    created_time: Any | UnsetType = UNSET
    created_by: Any | UnsetType = UNSET
    updated_time: Any | UnsetType = UNSET
    updated_by: Any | UnsetType = UNSET
    deleted_time: Any | UnsetType = UNSET
    deleted_by: Any | UnsetType = UNSET
    status: Any | UnsetType = UNSET
    tenancy: Any | UnsetType = UNSET


class NewCluster(Struct, kw_only=True):
    """
    The body that creates a cluster. Null in an optional member means absent; unknown members are rejected.
    """

    name: Annotated[str, Meta(max_length=53, min_length=3, pattern="^[a-z0-9]([-a-z0-9]*[a-z0-9])?$")]
    spec: dict[str, Any]
    kind: Literal["Cluster"] | None = None
    labels: Annotated[dict[str, LabelValue], Meta(description="As `labels` of a resource.", max_length=64)] | None = (
        None
    )
    references: (
        Annotated[
            dict[str, Any],
            Meta(description="Resources of this kind refer to no others, so this is null or empty.", max_length=0),
        ]
        | None
    ) = None
    id: Any | UnsetType = UNSET
    href: Any | UnsetType = UNSET
    owner_references: Any | UnsetType = UNSET
    generation: Any | UnsetType = UNSET
    resource_version: Any | UnsetType = UNSET
    created_time: Any | UnsetType = UNSET
    created_by: Any | UnsetType = UNSET
    updated_time: Any | UnsetType = UNSET
    updated_by: Any | UnsetType = UNSET
    deleted_time: Any | UnsetType = UNSET
    deleted_by: Any | UnsetType = UNSET
    status: Any | UnsetType = UNSET
    tenancy: Any | UnsetType = UNSET


class NewCondition(Struct, kw_only=True):
    """
    A condition that an adapter reports. `Failed`, when it is True, else `Available`, without one `Ready`, decides whether
    the adapter succeeds; other types never do. Null in an optional member means absent; unknown members are rejected.
    """

    type: Annotated[
        str, Meta(description="The type of the condition, unique in a report.", max_length=316, min_length=1)
    ]
    status: Literal["True", "False", "Unknown"]
    reason: Annotated[str, Meta(max_length=1024)] | None = None
    message: Annotated[str, Meta(max_length=32768)] | None = None
    adapter: Annotated[Any, Meta(description="Ignored.")] | UnsetType = UNSET
    observed_generation: Annotated[Any, Meta(description="Ignored.")] | UnsetType = UNSET
    created_at: Annotated[Any, Meta(description="Ignored.")] | UnsetType = UNSET
    updated_at: Annotated[Any, Meta(description="Ignored.")] | UnsetType = UNSET
    last_transition_time: Annotated[Any, Meta(description="Ignored.")] | UnsetType = UNSET


class NewReport(Struct, kw_only=True):
    """
    An adapter's report. Null in an optional member means absent; unknown members are rejected.
    """

    adapter: Annotated[str, Meta(max_length=63, min_length=1, pattern="^[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?$")]
    observed_generation: Annotated[int, Meta(description="The generation that the adapter observed.", ge=1)]
    conditions: Annotated[
        list[NewCondition], Meta(description="Together at most 64 KiB, as JSON.", max_length=64, min_length=1)
    ]
    observed_time: (
        Annotated[
            datetime,
            Meta(
                description="The time of the observation: not before the year 2000, and at most five minutes ahead of the service's clock. Defaults\nto now. Without a fraction it is compared with whole seconds."
            ),
        ]
        | None
    ) = None
    data: (
        Annotated[
            dict[str, Any],
            Meta(description="Any data that the adapter publishes; together with `metadata` at most 256 KiB."),
        ]
        | None
    ) = None
    metadata: Annotated[dict[str, Any], Meta(description="Data about the adapter's own work.")] | None = None


class Problem(Struct, kw_only=True):
    """
    An error (RFC 9457).
    """

    type: Annotated[str, Meta(description="Identifies the type of problem; it does not resolve to a page.")]
    title: Annotated[str, Meta(description="A short summary of the type of problem.")]
    status: Annotated[int, Meta(description="The HTTP status.")]
    detail: Annotated[str, Meta(description="What went wrong this time.")]
    instance: Annotated[str, Meta(description="The path of the request, without its query.")]
    code: Annotated[
        Literal[
            "HYPERFLEET-VAL-000",
            "HYPERFLEET-VAL-001",
            "HYPERFLEET-VAL-002",
            "HYPERFLEET-VAL-003",
            "HYPERFLEET-VAL-004",
            "HYPERFLEET-VAL-005",
            "HYPERFLEET-VAL-006",
            "HYPERFLEET-VAL-007",
            "HYPERFLEET-AUT-001",
            "HYPERFLEET-AUT-002",
            "HYPERFLEET-AUT-003",
            "HYPERFLEET-AUZ-001",
            "HYPERFLEET-NTF-000",
            "HYPERFLEET-NTF-001",
            "HYPERFLEET-NTF-002",
            "HYPERFLEET-NTF-003",
            "HYPERFLEET-CNF-001",
            "HYPERFLEET-CNF-002",
            "HYPERFLEET-CNF-003",
            "HYPERFLEET-INT-001",
            "HYPERFLEET-INT-002",
            "HYPERFLEET-SVC-001",
            "HYPERFLEET-SVC-002",
        ],
        Meta(description="The error code, for programs."),
    ]
    timestamp: Annotated[datetime, Meta(description="When the error occurred.")]
    trace_id: Annotated[str, Meta(description="The trace id, if the request is traced.")] | UnsetType = UNSET
    errors: (
        Annotated[list[FieldError], Meta(description="All errors in the request's fields and parameters.")] | UnsetType
    ) = UNSET
    conflict: (
        Annotated[
            Conflict,
            Meta(description="With CNF-001: the resource that has the name. Omitted if the caller may not read it."),
        ]
        | UnsetType
    ) = UNSET


class ReportCondition(Struct, kw_only=True):
    """
    A condition as it was reported, with its times.
    """

    adapter: Annotated[str, Meta(max_length=63, min_length=1, pattern="^[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?$")]
    type: str
    status: Literal["True", "False", "Unknown"]
    observed_generation: Annotated[int, Meta(description="Counts the changes of what is wanted.", ge=1)]
    created_at: datetime
    updated_at: datetime
    last_transition_time: Annotated[datetime, Meta(description="When `status` last changed.")]
    reason: str | UnsetType = UNSET
    message: str | UnsetType = UNSET


class Service(Struct, kw_only=True):
    """
    What this service is.
    """

    id: Literal["hyperfleet"]
    kind: Literal["API"]
    href: Annotated[str, Meta(description="Its address.")]
    version: str
    build_time: datetime
    links: Annotated[
        dict[str, str],
        Meta(
            description="Addresses by name: a list of each kind, this document, and the listeners that the caller can reach."
        ),
    ]


class SummaryCondition(Struct, kw_only=True):
    """
    A condition in an adapter's last report.
    """

    type: str
    status: Literal["True", "False", "Unknown"]
    last_transition_time: Annotated[datetime, Meta(description="When `status` last changed.")]
    reason: str | UnsetType = UNSET
    message: str | UnsetType = UNSET


class AdapterSummary(Struct, kw_only=True):
    """
    What an adapter's last report says.
    """

    adapter: str
    observed_generation: Annotated[int, Meta(description="Counts the changes of what is wanted.", ge=1)]
    last_report_time: datetime
    conditions: list[SummaryCondition]


class AnyResourcePatch(Struct, kw_only=True):
    """
    The body that changes a resource of any kind.
    """

    spec: dict[str, Any] | UnsetType = UNSET
    labels: (
        Annotated[
            dict[str, ChangedLabel | None],
            Meta(description="Like `labels` of a resource; in a merge patch, null removes a label."),
        ]
        | None
    ) = None
    references: (
        Annotated[
            dict[str, Any],
            Meta(
                description="The referenced resources, by type; in a merge patch, null removes all references of a type."
            ),
        ]
        | None
    ) = None


class ClusterPatch(Struct, kw_only=True):
    """
    The body that changes a cluster.
    """

    spec: dict[str, Any] | UnsetType = UNSET
    labels: (
        Annotated[
            dict[str, ChangedLabel | None],
            Meta(description="Like `labels` of a resource; in a merge patch, null removes a label."),
        ]
        | None
    ) = None
    references: (
        Annotated[
            dict[str, Any],
            Meta(description="Resources of this kind refer to no others, so this is null or empty.", max_length=0),
        ]
        | None
    ) = None


class Condition(Struct, kw_only=True):
    """
    A statement on a resource that follows from the reports of its adapters.
    """

    type: str
    status: Literal["True", "False"]
    observed_generation: Annotated[
        int, Meta(description="The generation that a report or a status is about, 0 before the first report.", ge=0)
    ]
    created_time: datetime
    last_updated_time: datetime
    last_transition_time: Annotated[datetime, Meta(description="When `status` last changed.")]
    reason: Annotated[str, Meta(description="Why, for programs.")] | UnsetType = UNSET
    message: Annotated[str, Meta(description="Why, for people.")] | UnsetType = UNSET


class NewNodePool(Struct, kw_only=True):
    """
    The body that creates a node pool. Null in an optional member means absent; unknown members are rejected.
    """

    name: Annotated[str, Meta(max_length=15, min_length=3, pattern="^[a-z0-9]([-a-z0-9]*[a-z0-9])?$")]
    spec: dict[str, Any]
    kind: Literal["NodePool"] | None = None
    labels: Annotated[dict[str, LabelValue], Meta(description="As `labels` of a resource.", max_length=64)] | None = (
        None
    )
    references: (
        Annotated[
            dict[str, Any],
            Meta(description="Resources of this kind refer to no others, so this is null or empty.", max_length=0),
        ]
        | None
    ) = None
    id: Any | UnsetType = UNSET
    href: Any | UnsetType = UNSET
    owner_references: Any | UnsetType = UNSET
    generation: Any | UnsetType = UNSET
    resource_version: Any | UnsetType = UNSET
    created_time: Any | UnsetType = UNSET
    created_by: Any | UnsetType = UNSET
    updated_time: Any | UnsetType = UNSET
    updated_by: Any | UnsetType = UNSET
    deleted_time: Any | UnsetType = UNSET
    deleted_by: Any | UnsetType = UNSET
    status: Any | UnsetType = UNSET
    tenancy: Any | UnsetType = UNSET


class NodePoolPatch(Struct, kw_only=True):
    """
    The body that changes a node pool.
    """

    spec: dict[str, Any] | UnsetType = UNSET
    labels: (
        Annotated[
            dict[str, ChangedLabel | None],
            Meta(description="Like `labels` of a resource; in a merge patch, null removes a label."),
        ]
        | None
    ) = None
    references: (
        Annotated[
            dict[str, Any],
            Meta(description="Resources of this kind refer to no others, so this is null or empty.", max_length=0),
        ]
        | None
    ) = None


class Report(Struct, kw_only=True):
    """
    An adapter's last report.
    """

    adapter: Annotated[str, Meta(max_length=63, min_length=1, pattern="^[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?$")]
    observed_generation: Annotated[int, Meta(description="Counts the changes of what is wanted.", ge=1)]
    conditions: list[ReportCondition]
    data: dict[str, Any]
    created_time: Annotated[datetime, Meta(description="When the adapter's first report arrived.")]
    last_report_time: Annotated[datetime, Meta(description="The report's `observed_time`.")]
    metadata: dict[str, Any] | UnsetType = UNSET


class ResourceReference(Struct, kw_only=True):
    """
    A resource that another one names.
    """

    kind: str
    id: str
    href: Annotated[str, Meta(description="Its address.")]


class SelectedReference(Struct, kw_only=True):
    """
    What is selected of such a name.
    """

    kind: str | UnsetType = UNSET
    id: str | UnsetType = UNSET
    href: Annotated[str, Meta(description="Its address.")] | UnsetType = UNSET


class SelectedStatus(Struct, kw_only=True):
    """
    What is selected of a status.
    """

    phase: (
        Annotated[
            Literal["NotReady", "Ready", "Failed"],
            Meta(
                description="`Ready` when every adapter that counts has succeeded at the current generation, `Failed` when one has failed at it."
            ),
        ]
        | UnsetType
    ) = UNSET
    observed_generation: (
        Annotated[int, Meta(description="The lowest generation that the reports are about.", ge=0)] | UnsetType
    ) = UNSET
    last_transition_time: Annotated[datetime, Meta(description="When `phase` last changed.")] | UnsetType = UNSET
    last_updated_time: (
        Annotated[datetime, Meta(description="The time of the oldest report that counts.")] | UnsetType
    ) = UNSET
    conditions: list[Condition] | UnsetType = UNSET
    adapters: (
        Annotated[
            list[AdapterSummary],
            Meta(description="A summary of each report, by adapter. Lists leave it out unless `fields` asks for it."),
        ]
        | UnsetType
    ) = UNSET


class Status(Struct, kw_only=True):
    """
    What follows from the adapters' reports.
    """

    phase: Annotated[
        Literal["NotReady", "Ready", "Failed"],
        Meta(
            description="`Ready` when every adapter that counts has succeeded at the current generation, `Failed` when one has failed at it."
        ),
    ]
    observed_generation: Annotated[int, Meta(description="The lowest generation that the reports are about.", ge=0)]
    last_transition_time: Annotated[datetime, Meta(description="When `phase` last changed.")]
    last_updated_time: Annotated[datetime, Meta(description="The time of the oldest report that counts.")]
    conditions: list[Condition]
    adapters: Annotated[
        list[AdapterSummary],
        Meta(description="A summary of each report, by adapter. Lists leave it out unless `fields` asks for it."),
    ]


class AdapterStatusList(Struct, kw_only=True):
    """
    A page of reports, by adapter.
    """

    kind: Literal["AdapterStatusList"]
    size: Annotated[int, Meta(description="How many items it has.", ge=0)]
    items: list[Report]
    page: (
        Annotated[int, Meta(description="Which page it is, from 1; not there after a `page_token`.", ge=1)] | UnsetType
    ) = UNSET
    total: (
        Annotated[int, Meta(description="How many there are in all; not there unless counted.", ge=0)] | UnsetType
    ) = UNSET
    next_page_token: (
        Annotated[
            str,
            Meta(
                description="Continues the list after this page; only the last page has none, however few items a page has."
            ),
        ]
        | UnsetType
    ) = UNSET


class AnyResource(Struct, kw_only=True):
    """
    A complete resource of any kind, as returned by writes.
    """

    kind: str
    id: str
    href: Annotated[str, Meta(description="Its address, relative to the server; it never changes.")]
    name: str
    spec: dict[str, Any]
    labels: Labels
    generation: Annotated[
        int, Meta(description="Counts the changes of `spec`, `labels` and `references`, from 1.", ge=1)
    ]
    resource_version: Annotated[str, Meta(description="Another text after every change, reports included.")]
    created_time: datetime
    created_by: str
    updated_time: datetime
    updated_by: str
    status: Status
    deleted_time: (
        Annotated[datetime, Meta(description="When it was asked to be deleted; there only while it is being deleted.")]
        | UnsetType
    ) = UNSET
    deleted_by: Annotated[str, Meta(description="Who asked for that.")] | UnsetType = UNSET
    tenancy: (
        Annotated[
            dict[str, str],
            Meta(
                description="Whose it is: the dimensions that it was created with, or its owner, and their values. There only where tenants are\ntold apart."
            ),
        ]
        | UnsetType
    ) = UNSET
    owner_references: (
        Annotated[ResourceReference, Meta(description="The owner; top-level kinds have none.")] | UnsetType
    ) = UNSET
    references: (
        Annotated[
            dict[str, list[ResourceReference]],
            Meta(description="The referenced resources by type, for kinds that declare references."),
        ]
        | UnsetType
    ) = UNSET


class Cluster(Struct, kw_only=True):
    """
    A complete cluster, as returned by writes.
    """

    kind: Literal["Cluster"]
    id: str
    href: Annotated[str, Meta(description="Its address, relative to the server; it never changes.")]
    name: Annotated[str, Meta(max_length=53, min_length=3, pattern="^[a-z0-9]([-a-z0-9]*[a-z0-9])?$")]
    spec: dict[str, Any]
    labels: Labels
    generation: Annotated[
        int, Meta(description="Counts the changes of `spec`, `labels` and `references`, from 1.", ge=1)
    ]
    resource_version: Annotated[str, Meta(description="Another text after every change, reports included.")]
    created_time: datetime
    created_by: str
    updated_time: datetime
    updated_by: str
    status: Status
    deleted_time: (
        Annotated[datetime, Meta(description="When it was asked to be deleted; there only while it is being deleted.")]
        | UnsetType
    ) = UNSET
    deleted_by: Annotated[str, Meta(description="Who asked for that.")] | UnsetType = UNSET
    tenancy: (
        Annotated[
            dict[str, str],
            Meta(
                description="Whose it is: the dimensions that it was created with, or its owner, and their values. There only where tenants are\ntold apart."
            ),
        ]
        | UnsetType
    ) = UNSET


class NodePool(Struct, kw_only=True):
    """
    A complete node pool, as returned by writes.
    """

    kind: Literal["NodePool"]
    id: str
    href: Annotated[str, Meta(description="Its address, relative to the server; it never changes.")]
    name: Annotated[str, Meta(max_length=15, min_length=3, pattern="^[a-z0-9]([-a-z0-9]*[a-z0-9])?$")]
    spec: dict[str, Any]
    labels: Labels
    generation: Annotated[
        int, Meta(description="Counts the changes of `spec`, `labels` and `references`, from 1.", ge=1)
    ]
    resource_version: Annotated[str, Meta(description="Another text after every change, reports included.")]
    created_time: datetime
    created_by: str
    updated_time: datetime
    updated_by: str
    status: Status
    owner_references: Annotated[ResourceReference, Meta(description="The cluster that it belongs to.")]
    deleted_time: (
        Annotated[datetime, Meta(description="When it was asked to be deleted; there only while it is being deleted.")]
        | UnsetType
    ) = UNSET
    deleted_by: Annotated[str, Meta(description="Who asked for that.")] | UnsetType = UNSET
    tenancy: (
        Annotated[
            dict[str, str],
            Meta(
                description="Whose it is: the dimensions that it was created with, or its owner, and their values. There only where tenants are\ntold apart."
            ),
        ]
        | UnsetType
    ) = UNSET


class SelectedAnyResource(Struct, kw_only=True):
    """
    A resource of any kind as returned by reads and lists: complete unless `fields` selects members.
    """

    id: str
    kind: str | UnsetType = UNSET
    href: str | UnsetType = UNSET
    name: str | UnsetType = UNSET
    spec: dict[str, Any] | UnsetType = UNSET
    labels: Labels | UnsetType = UNSET
    generation: (
        Annotated[int, Meta(description="Counts the changes of `spec`, `labels` and `references`, from 1.", ge=1)]
        | UnsetType
    ) = UNSET
    resource_version: (
        Annotated[str, Meta(description="Another text after every change, reports included.")] | UnsetType
    ) = UNSET
    created_time: datetime | UnsetType = UNSET
    created_by: str | UnsetType = UNSET
    updated_time: datetime | UnsetType = UNSET
    updated_by: str | UnsetType = UNSET
    deleted_time: (
        Annotated[datetime, Meta(description="When it was asked to be deleted; there only while it is being deleted.")]
        | UnsetType
    ) = UNSET
    deleted_by: Annotated[str, Meta(description="Who asked for that.")] | UnsetType = UNSET
    tenancy: (
        Annotated[
            dict[str, str],
            Meta(
                description="Whose it is: the dimensions that it was created with, or its owner, and their values. There only where tenants are\ntold apart."
            ),
        ]
        | UnsetType
    ) = UNSET
    status: SelectedStatus | UnsetType = UNSET
    owner_references: SelectedReference | UnsetType = UNSET
    references: dict[str, list[SelectedReference]] | UnsetType = UNSET


class SelectedCluster(Struct, kw_only=True):
    """
    A cluster as returned by reads and lists: complete unless `fields` selects members.
    """

    id: str
    kind: Literal["Cluster"] | UnsetType = UNSET
    href: str | UnsetType = UNSET
    name: Annotated[str, Meta(max_length=53, min_length=3, pattern="^[a-z0-9]([-a-z0-9]*[a-z0-9])?$")] | UnsetType = (
        UNSET
    )
    spec: dict[str, Any] | UnsetType = UNSET
    labels: Labels | UnsetType = UNSET
    generation: (
        Annotated[int, Meta(description="Counts the changes of `spec`, `labels` and `references`, from 1.", ge=1)]
        | UnsetType
    ) = UNSET
    resource_version: (
        Annotated[str, Meta(description="Another text after every change, reports included.")] | UnsetType
    ) = UNSET
    created_time: datetime | UnsetType = UNSET
    created_by: str | UnsetType = UNSET
    updated_time: datetime | UnsetType = UNSET
    updated_by: str | UnsetType = UNSET
    deleted_time: (
        Annotated[datetime, Meta(description="When it was asked to be deleted; there only while it is being deleted.")]
        | UnsetType
    ) = UNSET
    deleted_by: Annotated[str, Meta(description="Who asked for that.")] | UnsetType = UNSET
    tenancy: (
        Annotated[
            dict[str, str],
            Meta(
                description="Whose it is: the dimensions that it was created with, or its owner, and their values. There only where tenants are\ntold apart."
            ),
        ]
        | UnsetType
    ) = UNSET
    status: SelectedStatus | UnsetType = UNSET


class SelectedNodePool(Struct, kw_only=True):
    """
    A node pool as returned by reads and lists: complete unless `fields` selects members.
    """

    id: str
    kind: Literal["NodePool"] | UnsetType = UNSET
    href: str | UnsetType = UNSET
    name: Annotated[str, Meta(max_length=15, min_length=3, pattern="^[a-z0-9]([-a-z0-9]*[a-z0-9])?$")] | UnsetType = (
        UNSET
    )
    spec: dict[str, Any] | UnsetType = UNSET
    labels: Labels | UnsetType = UNSET
    generation: (
        Annotated[int, Meta(description="Counts the changes of `spec`, `labels` and `references`, from 1.", ge=1)]
        | UnsetType
    ) = UNSET
    resource_version: (
        Annotated[str, Meta(description="Another text after every change, reports included.")] | UnsetType
    ) = UNSET
    created_time: datetime | UnsetType = UNSET
    created_by: str | UnsetType = UNSET
    updated_time: datetime | UnsetType = UNSET
    updated_by: str | UnsetType = UNSET
    deleted_time: (
        Annotated[datetime, Meta(description="When it was asked to be deleted; there only while it is being deleted.")]
        | UnsetType
    ) = UNSET
    deleted_by: Annotated[str, Meta(description="Who asked for that.")] | UnsetType = UNSET
    tenancy: (
        Annotated[
            dict[str, str],
            Meta(
                description="Whose it is: the dimensions that it was created with, or its owner, and their values. There only where tenants are\ntold apart."
            ),
        ]
        | UnsetType
    ) = UNSET
    status: SelectedStatus | UnsetType = UNSET
    owner_references: SelectedReference | UnsetType = UNSET


class ClusterList(Struct, kw_only=True):
    """
    A page of clusters.
    """

    kind: Literal["ClusterList"]
    size: Annotated[int, Meta(description="How many items it has.", ge=0)]
    items: list[SelectedCluster]
    page: (
        Annotated[int, Meta(description="Which page it is, from 1; not there after a `page_token`.", ge=1)] | UnsetType
    ) = UNSET
    total: (
        Annotated[int, Meta(description="How many there are in all; not there unless counted.", ge=0)] | UnsetType
    ) = UNSET
    next_page_token: (
        Annotated[
            str,
            Meta(
                description="Continues the list after this page; only the last page has none, however few items a page has."
            ),
        ]
        | UnsetType
    ) = UNSET


class NodePoolList(Struct, kw_only=True):
    """
    A page of node pools.
    """

    kind: Literal["NodePoolList"]
    size: Annotated[int, Meta(description="How many items it has.", ge=0)]
    items: list[SelectedNodePool]
    page: (
        Annotated[int, Meta(description="Which page it is, from 1; not there after a `page_token`.", ge=1)] | UnsetType
    ) = UNSET
    total: (
        Annotated[int, Meta(description="How many there are in all; not there unless counted.", ge=0)] | UnsetType
    ) = UNSET
    next_page_token: (
        Annotated[
            str,
            Meta(
                description="Continues the list after this page; only the last page has none, however few items a page has."
            ),
        ]
        | UnsetType
    ) = UNSET


class ResourceList(Struct, kw_only=True):
    """
    A page of resources of all kinds.
    """

    kind: Literal["ResourceList"]
    size: Annotated[int, Meta(description="How many items it has.", ge=0)]
    items: list[SelectedAnyResource]
    page: (
        Annotated[int, Meta(description="Which page it is, from 1; not there after a `page_token`.", ge=1)] | UnsetType
    ) = UNSET
    total: (
        Annotated[int, Meta(description="How many there are in all; not there unless counted.", ge=0)] | UnsetType
    ) = UNSET
    next_page_token: (
        Annotated[
            str,
            Meta(
                description="Continues the list after this page; only the last page has none, however few items a page has."
            ),
        ]
        | UnsetType
    ) = UNSET
