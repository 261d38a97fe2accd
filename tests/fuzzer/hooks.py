"""Signs the fuzzer in again when it has signed itself out, sends it to what exists, and asks for pages too."""

import itertools
import os
import subprocess

import requests
import schemathesis

URL = os.environ["FUZZ_URL"]
WHO = {"email": os.environ["FUZZ_EMAIL"], "password": os.environ["FUZZ_PASSWORD"]}
turns = itertools.count()
signed_in = {}


def ask(method, path, **more):
    return requests.request(method, URL + path, headers=signed_in, allow_redirects=False, timeout=20, **more)


def sign_in():
    if ask("GET", "/profile").status_code != 200:
        answer = ask("POST", "/login", json=WHO)
        if answer.status_code in (401, 403):
            # It has deleted, disabled or renamed itself: a similar user replaces it.
            WHO["email"] = f"{os.environ['FUZZ_ROLE']}{next(turns)}@example.org"
            command = [os.environ["FUZZ_PROGRAM"], "user", "create", "--data", os.environ["FUZZ_DATA"]]
            command += ["--email", WHO["email"], "--name", "Fuzzy", "--role", os.environ["FUZZ_ROLE"], "--password-stdin"]
            subprocess.run(command, input=WHO["password"], text=True, check=True, stdout=subprocess.DEVNULL)
            answer = ask("POST", "/login", json=WHO)
        assert answer.status_code == 200, f"the fuzzer cannot sign in: {answer.text}"
        signed_in["Authorization"] = f"Bearer {answer.json()['token']}"


def somebody():
    """Another user, made anew where the fuzzer has deleted the last one."""
    users = ask("GET", "/admin/users", params={"search": "victim"}).json()["users"]
    if users:
        return users[0]["id"]
    body = {"name": "Victim", "email": f"victim{next(turns)}@example.org", "password": WHO["password"]}
    body["current_password"] = WHO["password"]
    return ask("POST", "/admin/users", json=body).json()["user"]["id"]


def session():
    if requests.post(f"{URL}/login", json=WHO, timeout=20).status_code != 200:
        # It has given itself another password, and its token is still good.
        signed_in.clear()
        sign_in()
        requests.post(f"{URL}/login", json=WHO, timeout=20)
    return next(one["id"] for one in ask("GET", "/sessions").json()["sessions"] if not one["current"])


@schemathesis.hook
def before_call(context, case, kwargs):
    turn = next(turns)
    sign_in()
    # Otherwise it would get no further than the request for its password.
    if turn % 2 and isinstance(case.body, dict) and "current_password" in case.body:
        case.body["current_password"] = WHO["password"]
    if turn % 8:
        case.headers["Authorization"] = signed_in["Authorization"]
    if turn % 3 == 0 and case.method == "GET":
        case.headers["Accept"] = "text/html"
    if turn % 2 and "id" in (case.path_parameters or {}):
        if case.path.startswith("/sessions"):
            case.path_parameters["id"] = session()
        elif WHO["email"].startswith("admin"):
            case.path_parameters["id"] = somebody()
