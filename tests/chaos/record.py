"""What is recorded of a run, and the bounds that Doorward states."""

from dataclasses import dataclass, field

# Outcomes. A request without an answer, and one that is answered with 5xx, may have been done or not.
OK, REFUSED, UNKNOWN = "ok", "refused", "unknown"


@dataclass(frozen=True)
class Bounds:
    """How late something may be, in seconds."""

    # A node reads the endings of other nodes this often.
    follow: float = 0.25
    # The round trips of that read.
    round_trip: float = 0.1
    # What a busy machine with two cores may add to each step.
    busy: float = 1.0
    # `revocations.stale_after`: how long a node without the store answers from memory.
    stale_after: float = 4.0
    # `access.ttl`
    access_ttl: float = 10.0
    # `revocations.margin`: for so much longer than an access token a revocation is kept.
    margin: float = 5.0
    # How long a fault may be felt after it has ended.
    recovery: float = 5.0

    @property
    def elsewhere(self):
        """How long after its acknowledged end a credential may be accepted by another node."""
        return self.follow + self.round_trip + self.busy

    @property
    def kept(self):
        """How long a revocation is kept."""
        return self.access_ttl + self.margin


@dataclass(slots=True)
class Event:
    """A request and its answer. Times are those of the one machine on which all runs, by a clock that never jumps."""

    act: str
    user: str
    node: int
    sent_at: float
    answered_at: float
    outcome: str
    # The status and code of a refusal, or what went wrong.
    status: int = 0
    code: str = ""
    # The session whose credential was sent, or that the request began.
    session: str = ""
    # When the access token that was sent had been asked for, and had arrived. None for a session secret.
    minted: tuple[float, float] | None = None
    # What was asked for: a password, a role, a refresh token.
    given: str = ""
    # What came: a role, a refresh token.
    got: str = ""
    # Whom the answer shows.
    shown: str = ""
    # Whether the run was over, so that nothing that was unknown can still be done.
    final: bool = False

    def __str__(self):
        said = f"{self.status} {self.code}".strip()
        parts = [f"{self.sent_at:9.3f} to {self.answered_at:9.3f}", f"node {self.node}", self.act, self.user, self.session]
        parts += [self.given and f"sent {self.given[-12:]}", self.got and f"got {self.got[-12:]}", f"{self.outcome} {said}"]
        return "  ".join(part for part in parts if part)


@dataclass
class Fault:
    """One fault: when it was made, and since when each node should be well again."""

    name: str
    began_at: float
    # By node. A node that the fault should not touch is well from the beginning.
    healed_at: list[float] = field(default_factory=list)
    # By node: when it wrote again. None if it never did.
    recovered_at: list[float | None] = field(default_factory=list)
    # The nodes that could not reach the store, or stood still, for a while.
    blind: list[int] = field(default_factory=list)
    # Since when they could not, if that is later than the fault.
    blind_since: float | None = None
    # The node that still asks a store which another has replaced.
    apart: int | None = None
    # Acts that the store acknowledged may be lost.
    loses: bool = False
    # What else is to be printed, such as the time that Patroni took.
    note: str = ""


@dataclass
class History:
    """All that was recorded of one scene."""

    nodes: int
    bounds: Bounds
    events: list[Event] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)
    # When the run itself stood still, and with it the connections to the store that it passes on.
    stalls: list[tuple[float, float]] = field(default_factory=list)


@dataclass
class Violation:
    """A promise that was broken, with the events that show it."""

    kind: str
    at: float
    text: str
    events: list[Event] = field(default_factory=list)

    def __str__(self):
        return "\n    ".join([f"{self.kind} at {self.at:.3f}: {self.text}", *map(str, self.events)])
