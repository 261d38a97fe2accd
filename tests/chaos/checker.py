"""Holds a recorded run against what Doorward promises."""

from collections import defaultdict
from dataclasses import dataclass

from record import OK, REFUSED, UNKNOWN, Event, Violation

# What a failover without a synchronous standby may take with it. The rest holds even then.
LOSABLE = "lost", "signed out", "two heads", "unexpected refusal"
# A request that hung in a node may be done this long after its client went away.
LATE = 60


@dataclass
class End:
    """An act that ends sessions or tokens of a user."""

    event: Event
    # False also for a role that the user may have had already: then nothing changed.
    is_acknowledged: bool

    def ends_session(self, session, begun_at):
        """Whether it ends this session, which had begun at this time."""
        return self.is_meant_for(session) and (self.event.act == "logout" or begun_at <= self.event.sent_at)

    def may_end_session(self, session, begins_at):
        """Whether it can have ended this session, which began at this time or later."""
        done_at = self.event.answered_at + (LATE if self.event.outcome == UNKNOWN else 0)
        return self.is_meant_for(session) and (self.event.act == "logout" or begins_at <= done_at)

    def is_meant_for(self, session):
        """Whether it ends this session if that is there."""
        act, own = self.event.act, self.event.session == session
        return own if act == "logout" else act == "logout_all" or act == "password" and not own

    def ends_token(self, minted):
        """Whether it ends an access token by raising the claims version of its user."""
        return minted is not None and self.event.act != "logout" and minted[1] < self.event.sent_at


def check(history):
    """Returns the violations, and how much was lost where a fault may lose acts: a count for each kind."""
    found = Checker(history).run()
    lossy_at = min((fault.began_at for fault in history.faults if fault.loses), default=None)
    lost = defaultdict(int)
    violations = []
    for violation in sorted(found, key=lambda one: one.at):
        if lossy_at is not None and violation.at > lossy_at and violation.kind in LOSABLE:
            lost[violation.kind] += 1
        else:
            violations.append(violation)
    return violations, dict(lost)


class Checker:
    def __init__(self, history):
        self.history, self.bounds = history, history.bounds
        self.events = sorted(history.events, key=lambda event: event.answered_at)
        self.loses = any(fault.loses for fault in history.faults)
        self.blind = [self.blindness(node) for node in range(history.nodes)]
        for fault in self.history.faults:
            if fault.apart is not None:
                self.doubt(fault)
        self.begins_at, self.begun_at = {}, {}
        self.ends, roles = defaultdict(list), defaultdict(lambda: {"user"})
        for event in self.events:
            if event.outcome == OK and event.act in ("register", "login"):
                self.begins_at[event.session], self.begun_at[event.session] = event.sent_at, event.answered_at
            if event.outcome != REFUSED and event.act in ("logout", "logout_all", "password", "role"):
                had = roles[event.user]
                is_acknowledged = event.outcome == OK and (event.act != "role" or event.given not in had)
                self.ends[event.user].append(End(event, is_acknowledged))
                if event.act == "role":
                    roles[event.user] = {event.given} | (had if event.outcome == UNKNOWN else set())
        self.found = []

    def doubt(self, fault):
        """Takes for unknown what a node refused while it may have asked a store that another has replaced: who began a
        session at the new one is nobody there, and has nothing to end. It must be over soon."""
        recovered_at = fault.recovered_at[fault.apart]
        until = float("inf") if recovered_at is None else recovered_at + self.bounds.busy
        for event in self.events:
            is_meanwhile = event.answered_at > fault.blind_since and event.sent_at < until
            if event.node == fault.apart and is_meanwhile:
                if event.outcome == REFUSED or event.outcome == OK and event.act in ("logout", "logout_all"):
                    event.outcome = UNKNOWN

    def run(self):
        by_user = defaultdict(list)
        for event in self.events:
            by_user[event.user].append(event)
            self.check_answer(event)
            if event.act in ("use", "refresh"):
                (self.check_accepted if event.outcome == OK else self.check_refused)(event)
        for events in by_user.values():
            self.check_passwords(events)
            self.check_roles(events)
        self.check_heads()
        for fault, following in zip(self.history.faults, [*self.history.faults[1:], None]):
            self.check_recovery(fault, following)
        return self.found

    def report(self, kind, event, text, *others):
        self.found.append(Violation(kind, event.answered_at, text, [*others, event]))

    def blindness(self, node):
        """The spans in which this node could not read the endings of others; those close together are one, and what
        memory knows is as old as the last of them: before that, the node had recovered."""
        blind = list(self.history.stalls)
        for fault in self.history.faults:
            if node in fault.blind:
                until = fault.recovered_at[node] if fault.recovered_at else None
                began_at = fault.blind_since or fault.began_at
                blind.append((began_at, until or began_at + self.bounds.stale_after))
        spans = []
        for began_at, until in sorted(blind):
            last = began_at
            if spans and began_at < spans[-1][1] + self.bounds.elsewhere:
                earlier = spans.pop()
                began_at, until = earlier[0], max(until, earlier[1])
            spans.append((began_at, until, last))
        return spans

    def is_blind(self, node, at):
        """Whether this node may read a store that another has replaced."""
        return any(began_at <= at <= until for began_at, until, _ in self.blind[node])

    def known_at(self, node, end):
        """When this node must know of an acknowledged end."""
        event, bounds = end.event, self.bounds
        if node == event.node:
            return event.answered_at
        known_at = event.answered_at + bounds.elsewhere
        for began_at, until, last in self.blind[node]:
            if began_at <= known_at and until >= event.answered_at:
                in_memory_until = last + bounds.stale_after + bounds.busy
                known_at = max(known_at, min(until + bounds.elsewhere, in_memory_until))
        return known_at

    def check_answer(self, event):
        if event.status >= 500 and event.status != 503:
            self.report("server error", event, f"{event.status} is never a right answer")
        if event.outcome == OK and event.shown not in ("", event.user):
            self.report("another's answer", event, f"it shows {event.shown}")
        known = ("use", "refresh", "login", "register")
        if event.outcome == REFUSED and event.act not in known and not self.may_be_refused(event):
            self.report("unexpected refusal", event, "nothing was wrong with the request")

    def may_be_refused(self, event):
        """Whether an act with a credential was refused because that had ended."""
        return event.status == 401 and (self.was_ended(event) or self.is_stale(event) or self.has_expired(event))

    def check_accepted(self, event):
        for end in self.ends[event.user]:
            if not end.is_acknowledged:
                continue
            begun_at = self.begun_at.get(event.session, 0)
            is_over = end.ends_session(event.session, begun_at)
            if event.act == "refresh":
                # It asks the store, which knows at once.
                known_at = self.known_at(event.node, end) if self.loses else end.event.answered_at
            else:
                is_over = is_over or end.ends_token(event.minted)
                known_at = self.known_at(event.node, end)
            if is_over and event.sent_at > known_at:
                late = event.sent_at - end.event.answered_at
                self.report("accepted", event, f"{late:.3f} s after its acknowledged end", end.event)
                return

    def check_refused(self, event):
        if event.outcome == UNKNOWN or self.was_ended(event):
            return
        if event.code == "token_stale":
            if not self.is_stale(event):
                self.report("signed out", event, "nobody changed what its token says")
        elif event.code == "token_expired":
            if not self.has_expired(event):
                self.report("good token refused", event, "it has not expired")
        elif event.code == "token_invalid" and event.minted:
            self.report("good token refused", event, "it was handed out by one of the nodes")
        else:
            self.report("signed out", event, "nobody asked for that")

    def was_ended(self, event):
        begins_at = self.begins_at.get(event.session, 0)
        ends = (end for end in self.ends[event.user] if end.event.sent_at < event.answered_at)
        return any(end.may_end_session(event.session, begins_at) for end in ends)

    def is_stale(self, event):
        if event.minted is None:
            return False
        for end in self.ends[event.user]:
            until = end.event.answered_at if end.is_acknowledged else end.event.answered_at + LATE
            if end.event.act != "logout" and end.event.sent_at < event.answered_at and until > event.minted[0]:
                return True
        return False

    def has_expired(self, event):
        # Whole seconds: a token may live a second less.
        return event.minted is not None and event.answered_at - event.minted[0] > self.bounds.access_ttl - 1

    def check_passwords(self, events):
        """Every acknowledged registration and new password is there, and nothing else opens the account."""
        certain, possible, base = None, set(), None
        for event in events:
            if event.act in ("register", "password"):
                if event.outcome == OK:
                    certain, possible, base = event.given, set(), event
                elif event.outcome == UNKNOWN:
                    possible.add(event.given)
            elif event.act == "login" and event.outcome == OK:
                if event.given != certain and event.given not in possible:
                    self.report("lost", event, "a password that was replaced opens the account", *filter(None, [base]))
                if event.given != certain:
                    certain, possible = event.given, set()
            elif event.act == "login" and event.code == "invalid_credentials":
                if event.final:
                    possible.discard(event.given)
                if event.given == certain and not possible:
                    self.report("lost", event, "the password was acknowledged", *filter(None, [base]))

    def check_roles(self, events):
        """Every acknowledged role is there."""
        last, possible = None, []
        for event in events:
            if event.act == "role" and event.outcome == OK:
                last = event
                possible = [one for one in possible if one.answered_at > event.sent_at - LATE]
            elif event.act == "role" and event.outcome == UNKNOWN:
                possible.append(event)
            elif event.act == "read_role" and event.outcome == OK and last and event.sent_at > last.answered_at:
                if self.is_blind(event.node, event.sent_at):
                    continue
                if event.got not in {last.given, *(one.given for one in possible)}:
                    self.report("lost", event, f"the role {last.given} was acknowledged", last)

    def check_heads(self):
        """A refresh token has one successor, whoever asks and how often."""
        successors = {}
        for event in self.events:
            if event.act == "refresh" and event.outcome == OK and event.given:
                first = successors.setdefault((event.session, event.given), event)
                if first.got != event.got:
                    self.report("two heads", event, "a refresh token got two successors", first)

    def check_recovery(self, fault, following):
        """Each node works again soon after the fault has ended, and then until the next one."""
        until = following.began_at if following else float("inf")
        for node, healed_at in enumerate(fault.healed_at):
            recovered_at = fault.recovered_at[node]
            if recovered_at is None or recovered_at - healed_at > self.bounds.recovery + self.bounds.busy:
                took = "never" if recovered_at is None else f"after {recovered_at - healed_at:.2f} s"
                text = f"node {node} worked again {took} ({fault.name})"
                self.found.append(Violation("slow recovery", recovered_at or healed_at, text))
                continue
            well_at = max(recovered_at, *fault.healed_at) + self.bounds.busy
            for event in self.events:
                if event.node == node and event.outcome == UNKNOWN and well_at < event.sent_at and event.answered_at < until:
                    self.report("unavailable", event, f"no fault was left after {fault.name}")
