"""Fuzzes a running server against its own /openapi.json: nobody's request may fail us, or get an answer that isn't in it.

Usage: fuzz.py [CASES], the most of them for each route; with the program in DOORWARD (target/debug/doorward where that is
not set). Asks as a user, then as an admin.
"""

import os
import re
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

PROGRAM = os.environ.get("DOORWARD", "target/debug/doorward")
CASES = sys.argv[1] if len(sys.argv) > 1 else "5"
PASSWORD = "a fuzzer is a patient guest"
CHECKS = [
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_schema_conformance",
    "response_headers_conformance",
    "unsupported_method",
    "allow_header_conformance",
]


def main():
    with ThreadPoolExecutor() as both:
        runs = list(both.map(fuzz, ["user", "admin"]))
    for said, _ in runs:
        print(said)
    sys.exit(not all(well for _, well in runs))


def make(folder, role):
    """Somebody with this role; without any admin there would be no last one."""
    for email, has in (f"{role}@example.org", role), ("root@example.org", "admin"):
        command = [PROGRAM, "user", "create", "--data", folder, "--email", email, "--name", "Fuzzy"]
        command += ["--role", has, "--password-stdin"]
        subprocess.run(command, input=PASSWORD, text=True, check=True, stdout=subprocess.DEVNULL)


def fuzz(role):
    """What the fuzzer said, and whether all was well."""
    with tempfile.TemporaryDirectory() as folder:
        make(folder, role)
        said = serve_and_fuzz(folder, role)
    return f"\n== as {role}\n{said.stdout}", said.returncode == 0


def serve_and_fuzz(folder, role):
    command = [PROGRAM, "serve", "--dev", "--no-throttle", "--listen", "127.0.0.1:0", "--data", folder]
    with open(Path(folder) / "log", "w") as log:
        server = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, text=True)
        try:
            url = re.search(r"http://\S+", first_url(server))[0]
            return schemathesis(url, folder, role)
        finally:
            server.terminate()
            server.wait()


def first_url(server):
    for line in server.stdout:
        if "http://" in line:
            return line
    sys.exit("error: the server did not start")


def schemathesis(url, folder, role):
    here = Path(__file__).parent
    environment = {
        **os.environ,
        "SCHEMATHESIS_HOOKS": str(here / "hooks.py"),
        "FUZZ_URL": url,
        "FUZZ_PROGRAM": os.path.abspath(PROGRAM),
        "FUZZ_DATA": folder,
        "FUZZ_ROLE": role,
        "FUZZ_EMAIL": f"{role}@example.org",
        "FUZZ_PASSWORD": PASSWORD,
        "NO_COLOR": "1",
    }
    command = [sys.executable, "-m", "schemathesis.cli", "--config-file", here / "schemathesis.toml", "run"]
    command += [f"{url}/openapi.json", "--max-examples", CASES, "--checks", ",".join(CHECKS), "--seed", "1"]
    command += ["--phases", "examples,coverage,fuzzing", "--no-shrink", "--continue-on-failure"]
    command += ["--request-timeout", "20", "--suppress-health-check", "all", "--max-redirects", "0"]
    with tempfile.TemporaryDirectory() as elsewhere:
        output = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
        return subprocess.run(command, env=environment, cwd=elsewhere, **output)


main()
