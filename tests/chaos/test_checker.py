"""Histories that were made by hand: the checker finds each fault in them, and finds none where there is none.

Usage: test_checker.py
"""

import unittest

from checker import check
from record import OK, REFUSED, UNKNOWN, Bounds, Event, Fault, History

B = Bounds()
ENDED = {"outcome": REFUSED, "status": 401, "code": "session_ended"}
LATE = B.elsewhere + 0.01


def event(act, at, node=0, *, outcome=OK, takes=0.1, status=None, **more):
    """One of the user ada with her session s, if nothing else is said."""
    more.setdefault("session", "" if act in ("role", "read_role") else "s")
    if act == "use":
        more.setdefault("minted", (0, 0.1))
    status = status or {OK: 200, REFUSED: 401, UNKNOWN: 0}[outcome]
    return Event(act, more.pop("user", "ada"), node, at, at + takes, outcome, status, **more)


def registered(password="one"):
    return event("register", 0, given=password)


def kinds(*events, faults=()):
    violations, _ = check(History(3, B, list(events), list(faults)))
    return [violation.kind for violation in violations]


def felt(began_at, healed_at, *, blind=(0, 1, 2), recovered_at=None, **more):
    healed = [healed_at if node in blind else began_at for node in range(3)]
    recovered = [recovered_at or at for at in healed]
    return Fault("a fault", began_at, healed, recovered, list(blind), **more)


class Ends(unittest.TestCase):
    def test_a_logout_is_known_at_its_own_node_at_once_and_elsewhere_after_the_bound(self):
        logout = event("logout", 5)
        self.assertEqual(kinds(registered(), logout, event("use", 5.11)), ["accepted"])
        self.assertEqual(kinds(registered(), logout, event("use", 5.1 + B.elsewhere - 0.1, 1)), [])
        self.assertEqual(kinds(registered(), logout, event("use", 5.1 + LATE, 1)), ["accepted"])
        self.assertEqual(kinds(registered(), logout, event("use", 5.1 + LATE, 1, **ENDED)), [])

    def test_a_request_that_was_sent_before_the_end_may_be_answered_after_it(self):
        self.assertEqual(kinds(registered(), event("logout", 5), event("use", 5, takes=9)), [])

    def test_a_logout_that_was_not_acknowledged_may_have_happened_or_not(self):
        logout = event("logout", 5, outcome=UNKNOWN)
        self.assertEqual(kinds(registered(), logout, event("use", 9)), [])
        self.assertEqual(kinds(registered(), logout, event("use", 9, **ENDED)), [])

    def test_a_session_secret_of_an_ended_session_is_refused_too(self):
        self.assertEqual(kinds(registered(), event("logout", 5), event("use", 9, 1, minted=None)), ["accepted"])

    def test_a_refresh_asks_the_store_and_so_knows_at_once(self):
        self.assertEqual(kinds(registered(), event("logout", 5), event("refresh", 5.2, 1, given="r", got="s")), ["accepted"])

    def test_logging_out_everywhere_ends_all_sessions_that_had_begun(self):
        before, after = event("login", 1, session="t", given="one"), event("login", 9, session="v", given="one")
        everywhere = event("logout_all", 5)
        self.assertEqual(kinds(registered(), before, everywhere, event("use", 8, 1, session="t")), ["accepted"])
        used = event("use", 12, 1, session="v", minted=(9, 9.1))
        self.assertEqual(kinds(registered(), everywhere, after, used), [])

    def test_a_new_password_ends_other_sessions_and_the_older_tokens_of_its_own(self):
        other, change = event("login", 1, session="t", given="one"), event("password", 5, given="two")
        self.assertEqual(kinds(registered(), other, change, event("use", 8, 1, session="t")), ["accepted"])
        self.assertEqual(kinds(registered(), change, event("use", 8, 1)), ["accepted"])
        self.assertEqual(kinds(registered(), change, event("use", 8, 1, minted=(5, 5.1))), [])
        self.assertEqual(kinds(registered(), change, event("use", 8, 1, minted=None)), [])

    def test_a_new_role_makes_older_tokens_stale(self):
        role = event("role", 5, given="role1")
        self.assertEqual(kinds(registered(), role, event("use", 8, 1)), ["accepted"])
        self.assertEqual(kinds(registered(), role, event("use", 8, 1, minted=(6, 6.1))), [])

    def test_a_role_that_the_user_had_already_changes_nothing(self):
        roles = event("role", 2, given="role1"), event("role", 5, given="role1")
        self.assertEqual(kinds(registered(), *roles, event("use", 8, 1, minted=(3, 3.1))), [])
        unknown = event("role", 2, given="role1", outcome=UNKNOWN), event("role", 5, given="role1")
        self.assertEqual(kinds(registered(), *unknown, event("use", 8, 1, minted=(3, 3.1))), [])

    def test_a_node_without_the_store_has_until_stale_after_and_no_longer(self):
        fault = felt(4, 20, blind=[1])
        used = 4 + B.stale_after
        self.assertEqual(kinds(registered(), event("logout", 5), event("use", used, 1), faults=[fault]), [])
        self.assertEqual(kinds(registered(), event("logout", 5), event("use", used + 2, 1), faults=[fault]), ["accepted"])
        self.assertEqual(kinds(registered(), event("logout", 5), event("use", used, 2), faults=[fault]), ["accepted"])

    def test_a_node_that_asks_a_replaced_store_is_bound_in_what_it_accepts_and_not_in_what_it_refuses(self):
        fault = felt(4, 20, blind=[1], blind_since=8, apart=1)
        refused = event("use", 10, 1, outcome=REFUSED, code="token_invalid")
        self.assertEqual(kinds(registered(), refused, faults=[fault]), [])
        self.assertEqual(kinds(registered(), event("logout", 10, 1), event("use", 18), faults=[fault]), [])
        used = 8 + B.stale_after + B.busy
        self.assertEqual(kinds(registered(), event("logout", 9), event("use", used, 1), faults=[fault]), [])
        self.assertEqual(kinds(registered(), event("logout", 9), event("use", used + 1, 1), faults=[fault]), ["accepted"])

    def test_a_node_that_has_the_store_again_knows_after_the_bound(self):
        fault = felt(4, 6, blind=[1])
        used = event("use", 6 + LATE, 1)
        self.assertEqual(kinds(registered(), event("logout", 5), used, faults=[fault]), ["accepted"])


class SignedOut(unittest.TestCase):
    def test_nobody_is_signed_out_who_did_not_ask(self):
        self.assertEqual(kinds(registered(), event("use", 5, **ENDED)), ["signed out"])
        reused = {"outcome": REFUSED, "code": "refresh_reused"}
        self.assertEqual(kinds(registered(), event("refresh", 5, given="r", **reused)), ["signed out"])
        other = event("logout", 4, session="t")
        self.assertEqual(kinds(registered(), other, event("use", 5, **ENDED)), ["signed out"])

    def test_an_act_that_was_not_acknowledged_may_end_a_session_that_began_afterwards(self):
        used = event("use", 12, session="t", minted=None, **ENDED)
        for act, word in ("password", "two"), ("logout_all", "one"):
            hung, done = event(act, 3, outcome=UNKNOWN, given="two"), event(act, 3, given="two")
            self.assertEqual(kinds(registered(), hung, event("login", 4, session="t", given="one"), used), [])
            self.assertEqual(kinds(registered(), done, event("login", 4, session="t", given=word), used), ["signed out"])

    def test_a_token_is_stale_only_if_something_changed(self):
        stale = event("use", 5, outcome=REFUSED, code="token_stale")
        self.assertEqual(kinds(registered(), stale), ["signed out"])
        self.assertEqual(kinds(registered(), event("role", 4, given="role1"), stale), [])
        self.assertEqual(kinds(registered(), event("role", 4, given="role1", outcome=UNKNOWN), stale), [])
        fresh = event("use", 5, outcome=REFUSED, code="token_stale", minted=(4.5, 4.6))
        self.assertEqual(kinds(registered(), event("role", 4, given="role1"), fresh), ["signed out"])

    def test_a_good_token_is_refused_nowhere(self):
        for code in "token_expired", "token_invalid":
            refused = event("use", 5, 1, outcome=REFUSED, code=code)
            self.assertEqual(kinds(registered(), refused), ["good token refused"])
        expired = event("use", B.access_ttl + 1, 1, outcome=REFUSED, code="token_expired")
        self.assertEqual(kinds(registered(), expired), [])


class Kept(unittest.TestCase):
    wrong = {"outcome": REFUSED, "code": "invalid_credentials"}

    def test_an_acknowledged_account_is_there(self):
        self.assertEqual(kinds(registered(), event("login", 5, given="one", **self.wrong)), ["lost"])

    def test_an_acknowledged_password_is_there_and_the_old_one_gone(self):
        change = event("password", 5, given="two")
        self.assertEqual(kinds(registered(), change, event("login", 7, given="two", **self.wrong)), ["lost"])
        self.assertEqual(kinds(registered(), change, event("login", 7, given="one")), ["lost"])
        self.assertEqual(kinds(registered(), change, event("login", 7, given="two")), [])

    def test_after_a_lost_answer_either_password_is_right_and_one_of_them_must_be(self):
        change = event("password", 5, given="two", outcome=UNKNOWN)
        for right, wrong in ("one", "two"), ("two", "one"):
            tried = event("login", 7, given=wrong, **self.wrong), event("login", 8, given=right)
            self.assertEqual(kinds(registered(), change, *tried), [])
        neither = [event("login", at, given=given, final=True, **self.wrong) for at, given in ((7, "two"), (8, "one"))]
        self.assertEqual(kinds(registered(), change, *neither), ["lost"])

    def test_an_acknowledged_role_is_there(self):
        first, second = event("role", 1, given="role1"), event("role", 3, given="role2")
        self.assertEqual(kinds(first, second, event("read_role", 5, got="role1")), ["lost"])
        self.assertEqual(kinds(first, second, event("read_role", 5, got="role2")), [])
        unknown = event("role", 4, given="role3", outcome=UNKNOWN)
        self.assertEqual(kinds(first, second, unknown, event("read_role", 5, got="role3")), [])

    def test_a_refresh_token_has_one_successor(self):
        first, again = event("refresh", 2, given="r", got="a"), event("refresh", 2, 1, given="r", got="a")
        self.assertEqual(kinds(registered(), first, again), [])
        again.got = "b"
        self.assertEqual(kinds(registered(), first, again), ["two heads"])


class Answers(unittest.TestCase):
    def test_nobody_gets_an_answer_for_somebody_else(self):
        self.assertEqual(kinds(registered(), event("use", 5, shown="grace")), ["another's answer"])

    def test_only_503_says_that_the_server_cannot(self):
        self.assertEqual(kinds(registered(), event("use", 5, outcome=UNKNOWN, status=500), faults=[felt(4, 6)]), ["server error"])
        self.assertEqual(kinds(registered(), event("use", 5, outcome=UNKNOWN, status=503), faults=[felt(4, 6)]), [])

    def test_a_right_request_is_refused_only_if_its_session_ended(self):
        refused = {"outcome": REFUSED, "status": 404, "code": "not_found"}
        self.assertEqual(kinds(registered(), event("password", 5, given="two", **refused)), ["unexpected refusal"])


class Recovery(unittest.TestCase):
    def test_a_fault_is_over_soon_after_it_is_healed(self):
        self.assertEqual(kinds(faults=[felt(4, 6, recovered_at=8)]), [])
        self.assertEqual(kinds(faults=[felt(4, 6, recovered_at=6 + B.recovery + B.busy + 1)]), ["slow recovery"] * 3)

    def test_a_node_that_the_fault_does_not_touch_works_all_the_time(self):
        fault = felt(4, 20, blind=[1])
        fault.recovered_at = [15, 20.5, 4.1]
        self.assertEqual(kinds(faults=[fault]), ["slow recovery"])

    def test_afterwards_there_is_an_answer_to_everything(self):
        late = event("use", 12, outcome=UNKNOWN, status=503)
        self.assertEqual(kinds(registered(), late, faults=[felt(4, 6)]), ["unavailable"])
        self.assertEqual(kinds(registered(), late, faults=[felt(4, 6), felt(11, 13)]), [])


class Lossy(unittest.TestCase):
    def test_a_failover_that_loses_commits_may_take_accounts_but_never_lets_anybody_in(self):
        fault = felt(4, 6, loses=True)
        gone = event("login", 9, given="one", outcome=REFUSED, code="invalid_credentials")
        let_in = event("use", 9, 1)
        violations, lost = check(History(3, B, [registered(), event("logout", 3), gone, let_in], [fault]))
        self.assertEqual([violation.kind for violation in violations], ["accepted"])
        self.assertEqual(lost, {"lost": 1})

    def test_what_was_lost_before_the_fault_is_a_violation(self):
        gone = event("login", 2, given="one", outcome=REFUSED, code="invalid_credentials")
        self.assertEqual(kinds(registered(), gone, faults=[felt(4, 6, loses=True)]), ["lost"])


if __name__ == "__main__":
    unittest.main()
