"""Virtual users. Each acts in turn at all nodes, remembers what was acknowledged, and never does anything wrong."""

import asyncio
import itertools
import time

from client import Client, NoAnswer
from record import OK, REFUSED, UNKNOWN, Event

ROLES = [f"role{number}" for number in range(8)]
# A refresh is answered again for a minute; somebody who waited nearly as long signs in anew.
GRACE = 50
# How often each thing is done.
ACTS = {"use": 40, "use_ended": 18, "refresh": 12, "sign_in": 10, "sign_out": 10, "two_tabs": 4, "new_password": 4, "out_everywhere": 2}
# When somebody who signed out looks whether that is known elsewhere.
LOOKS = 1.5, 3, 6, 9


class World:
    """What all virtual users share: the nodes, the record, and the dice."""

    def __init__(self, history, ports, random):
        self.history, self.ports, self.random = history, ports, random
        self.numbers = itertools.count(1)
        self.is_over = False

    def node(self):
        return self.random.randrange(len(self.ports))

    async def ask(self, client, act, user, node, method, path, body=None, *, session=None, final=False, given="", keep=True):
        """Sends one request, records it with its answer, and returns both."""
        token = session.token if session else ""
        cookie = session.secret if session else ""
        event = Event(act, user, node, time.monotonic(), 0, UNKNOWN, given=given, final=final)
        if session:
            event.session, event.minted = session.name, session.minted
        answer = None
        try:
            answer = await client.send(node, method, path, body, token, cookie)
            event.status, event.code = answer.status, answer.body.get("code", "")
            event.outcome = OK if answer.status < 400 else UNKNOWN if answer.status >= 500 else REFUSED
        except NoAnswer as why:
            event.code = str(why)
        event.answered_at = time.monotonic()
        if keep:
            self.history.events.append(event)
        return event, answer


class Session:
    def __init__(self, name, event, answer):
        self.name, self.waits_since = name, None
        self.secret = answer.cookie("sessionId")
        self.take(event, answer)

    def take(self, event, answer):
        self.token = answer.body.get("token", "")
        self.refresh_token = answer.body.get("refresh_token", "")
        self.minted = (event.sent_at, event.answered_at) if self.token else None
        self.waits_since = None
        if answer.cookie("sessionId"):
            self.secret = answer.cookie("sessionId")

    def copy(self):
        """The credential as it is now: what somebody may have kept who ended the session."""
        other = object.__new__(Session)
        other.__dict__.update(self.__dict__)
        return other


class Person:
    """One account, with up to three sessions."""

    def __init__(self, world):
        self.world, self.client = world, Client(world.ports)
        self.follow_ups = set()
        self.become_somebody()

    def become_somebody(self):
        number = next(self.world.numbers)
        self.name, self.email, self.id = f"u{number}", f"u{number}@example.org", ""
        # What may be the password: more than one after a change whose answer was lost.
        self.passwords, self.changes = [f"first password of u{number}"], 0
        self.sessions, self.ended, self.is_known = [], [], False

    async def ask(self, act, method, path, body=None, **more):
        node = more.pop("node", None)
        node = self.world.node() if node is None else node
        return await self.world.ask(self.client, act, self.name, node, method, path, body, **more)

    async def live(self):
        random = self.world.random
        while not self.world.is_over:
            if not self.is_known:
                await self.register()
            else:
                act = random.choices(list(ACTS), ACTS.values())[0]
                await getattr(self, act)()
            await asyncio.sleep(random.expovariate(1 / self.world.pause))

    def mode(self):
        return "session" if self.world.random.random() < 0.35 else "bearer"

    async def register(self):
        body = {"name": self.name, "email": self.email, "password": self.passwords[0], "mode": self.mode()}
        event, answer = await self.ask("register", "POST", "/register", body, given=body["password"])
        if event.outcome == OK:
            self.is_known = True
            self.begin(event, answer)
        elif event.code == "email_taken":
            self.is_known = True

    def begin(self, event, answer):
        event.session = f"{self.name}s{next(self.world.numbers)}"
        user = answer.body.get("user", {})
        self.id, event.shown, event.got = user.get("id", ""), user.get("name", ""), user.get("role", "")
        self.sessions.append(Session(event.session, event, answer))

    async def sign_in(self, final=False):
        if len(self.sessions) >= 3 and not final:
            return await self.use()
        password = self.world.random.choice(self.passwords)
        body = {"email": self.email, "password": password, "mode": self.mode()}
        event, answer = await self.ask("login", "POST", "/login", body, given=password, final=final)
        if event.outcome == OK:
            self.passwords = [password]
            self.begin(event, answer)
        elif event.code == "invalid_credentials" and len(self.passwords) > 1:
            if final:
                self.passwords.remove(password)
        elif event.code == "invalid_credentials":
            self.become_somebody()
        return event

    def one(self):
        return self.world.random.choice(self.sessions) if self.sessions else None

    async def use(self, final=False, session=None):
        session = session or self.one()
        if session is None:
            return await self.sign_in()
        if session.waits_since or not session.secret and time.monotonic() - session.minted[0] > self.world.renew_after:
            return await self.refresh(session)
        event, answer = await self.ask("use", "GET", "/profile", session=session, final=final)
        if event.outcome == OK:
            event.shown = answer.body["user"]["name"]
        elif event.code in ("token_stale", "token_expired"):
            await self.refresh(session)
        elif event.outcome == REFUSED:
            self.drop(session)
        return event

    async def refresh(self, session=None, node=None):
        session = session or self.one()
        if session is None or session.secret:
            return await self.use(session=session) if session else None
        if session.waits_since and time.monotonic() - session.waits_since > GRACE:
            return self.drop(session)
        sent = session.refresh_token
        before = session.copy()
        # The refresh token alone is the credential.
        before.token = ""
        event, answer = await self.ask(
            "refresh", "POST", "/refresh", {"refresh_token": sent}, session=before, given=sent, node=node
        )
        if event.outcome == OK:
            event.got = answer.body["refresh_token"]
            if session.refresh_token == sent:
                session.take(event, answer)
        elif event.outcome == REFUSED:
            self.drop(session)
        elif session.refresh_token == sent:
            session.waits_since = session.waits_since or event.sent_at
        return event

    async def two_tabs(self):
        """Two tabs of one browser refresh at once, each at another node."""
        session = self.one()
        if session is None or session.secret:
            return
        nodes = self.world.random.sample(range(len(self.world.ports)), 2)
        await asyncio.gather(*(self.refresh(session, node) for node in nodes))

    def drop(self, session):
        if session in self.sessions:
            self.sessions.remove(session)

    async def sign_out(self):
        session = self.one()
        if session is None:
            return
        self.drop(session)
        body = {} if session.secret else {"refresh_token": session.refresh_token}
        event, _ = await self.ask("logout", "POST", "/logout", body, session=session)
        if event.outcome == OK:
            self.keep(session, event)

    async def out_everywhere(self):
        session = self.one()
        if session is None or session.waits_since:
            return
        event, _ = await self.ask("logout_all", "POST", "/logout/all", {}, session=session)
        if event.outcome != REFUSED:
            gone, self.sessions = self.sessions, []
        if event.outcome == OK:
            for one in gone:
                self.keep(one, event)

    async def new_password(self):
        session = self.one()
        if session is None or session.waits_since or len(self.passwords) > 1:
            return
        self.changes += 1
        new = f"password {self.changes} of {self.name}"
        before = session.copy()
        before.refresh_token = ""
        body = {"current_password": self.passwords[0], "new_password": new}
        event, answer = await self.ask("password", "POST", "/profile/password", body, session=session, given=new)
        if event.outcome == OK:
            self.passwords = [new]
            session.take(event, answer)
            others = [other for other in self.sessions if other is not session]
            for other in others if session.secret else [*others, before]:
                self.keep(other, event)
            self.sessions = [session]
        elif event.outcome == UNKNOWN:
            self.passwords.append(new)
            self.sessions = []

    def keep(self, session, event):
        """Keeps a credential that has ended, and looks at the other nodes whether they know."""
        kept = session.copy()
        self.ended = [*self.ended[-5:], kept]
        for node in range(len(self.world.ports)):
            if node != event.node:
                task = asyncio.ensure_future(self.look(kept, node))
                self.follow_ups.add(task)
                task.add_done_callback(self.follow_ups.discard)

    async def look(self, session, node):
        name, begun_at, client = self.name, time.monotonic(), Client(self.world.ports)
        for after in LOOKS[: self.world.looks]:
            await asyncio.sleep(max(0, begun_at + after - time.monotonic()))
            if not self.is_over(session):
                await self.use_kept(session, node, name, client)
        client.close()

    def is_over(self, session):
        return session.minted and time.monotonic() - session.minted[0] > self.world.history.bounds.access_ttl

    async def use_kept(self, session, node, name, client):
        event, answer = await self.world.ask(client, "use", name, node, "GET", "/profile", session=session)
        if event.outcome == OK:
            event.shown = answer.body["user"]["name"]

    async def use_ended(self):
        self.ended = [one for one in self.ended if not self.is_over(one) or one.refresh_token]
        if not self.ended:
            return await self.use()
        session, node = self.world.random.choice(self.ended), self.world.node()
        if not self.is_over(session):
            return await self.use_kept(session, node, self.name, self.client)
        self.ended.remove(session)
        if session.refresh_token:
            await self.refresh(session)

    async def settle(self):
        """At the end: everything that was acknowledged is there, and nothing else."""
        while self.follow_ups:
            await asyncio.wait(self.follow_ups)
        if not self.is_known:
            return
        for session in list(self.sessions):
            await self.finally_known(lambda: self.use(final=True, session=session), session)
        for session in self.ended:
            if not self.is_over(session):
                await self.use_kept(session, self.world.node(), self.name, self.client)
        name, tries = self.name, 0
        while self.name == name and self.passwords and tries < 20:
            event = await self.sign_in(final=True)
            if event.outcome == OK:
                break
            tries += event.outcome == UNKNOWN
            await asyncio.sleep(0.2 if event.outcome == UNKNOWN else 0)

    async def finally_known(self, act, session):
        for _ in range(20):
            event = await act()
            if event is None or event.outcome != UNKNOWN or session not in self.sessions:
                return
            await asyncio.sleep(0.2)

    def close(self):
        self.client.close()


class Admin:
    """An admin who gives roles, again and again, at one node. So it is seen when that node writes."""

    def __init__(self, world, node, email, password):
        self.world, self.node, self.email, self.password = world, node, email, password
        self.client, self.session, self.lock = Client(world.ports), None, asyncio.Lock()
        self.subjects = []

    async def credential(self, node):
        """A session with a token that is good for a while. While no node can renew it, none."""
        async with self.lock:
            session = self.session
            if session and time.monotonic() - session.minted[0] < self.world.renew_after:
                return session
            for way in ("refresh", "login"):
                body = {"email": self.email, "password": self.password, "mode": "bearer"}
                if way == "refresh":
                    if not session or session.waits_since == "refused":
                        continue
                    body = {"refresh_token": session.refresh_token}
                event, answer = await self.world.ask(self.client, way, "admin", node, "POST", f"/{way}", body, keep=False)
                if event.outcome == OK:
                    self.session = session or Session("admin", event, answer)
                    self.session.take(event, answer)
                    return self.session
                if event.outcome == REFUSED and session:
                    session.waits_since = "refused"
                if event.outcome == UNKNOWN:
                    return None
            return None

    async def give_role(self, user, user_id, node, role):
        session = await self.credential(node)
        if session is None:
            return None
        path = f"/admin/users/{user_id}"
        event, _ = await self.world.ask(self.client, "role", user, node, "PATCH", path, {"role": role}, session=session, given=role)
        event.session = ""
        event.minted = session.minted
        return event

    async def read_role(self, user, user_id, node, final=False):
        session = await self.credential(node)
        if session is None:
            return None
        path = f"/admin/users/{user_id}"
        event, answer = await self.world.ask(self.client, "read_role", user, node, "GET", path, session=session, final=final)
        event.session = ""
        if event.outcome == OK:
            user = answer.body.get("user", answer.body)
            event.got, event.shown = user.get("role", ""), user.get("name", "")
        return event

    async def make_subjects(self, number):
        """Accounts of nobody, whose roles show whether a node writes."""
        while len(self.subjects) < number:
            name = f"subject{self.node}x{next(self.world.numbers)}"
            body = {"name": name, "email": f"{name}@example.org", "password": f"password of {name}"}
            event, answer = await self.world.ask(self.client, "register", name, self.node, "POST", "/register", body, given=body["password"])
            if event.outcome == OK:
                self.subjects.append((name, answer.body["user"]["id"]))

    async def probe(self, slot, pause):
        """Writes at this node for as long as the scene lasts."""
        name, user_id = self.subjects[slot]
        for number in itertools.count(slot):
            if self.world.is_over:
                return
            event = await self.give_role(name, user_id, self.node, ROLES[number % len(ROLES)])
            if event and event.outcome == REFUSED and self.session:
                self.session.minted = (0, 0)
            await asyncio.sleep(pause if event and event.outcome == OK else 0.05)

    async def give_roles(self, people, pause):
        """Gives people other roles, at any node."""
        random = self.world.random
        while not self.world.is_over:
            person = random.choice(people)
            if person.is_known and person.id:
                node = self.world.node()
                event = await self.give_role(person.name, person.id, node, random.choice(ROLES))
                if event and event.outcome == REFUSED and self.session:
                    self.session.minted = (0, 0)
                await self.read_role(person.name, person.id, self.world.node())
            await asyncio.sleep(pause)

    def close(self):
        self.client.close()
