"""Holds the filter for fail2ban in docs/guides/run-in-production.md against the lines that the program really writes.

Usage: fail2ban.py, with the program in DOORWARD and fail2ban-regex in the path.
"""

import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import urllib.error
import urllib.parse
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parents[2]
PROGRAM = os.environ.get("DOORWARD", str(ROOT / "target/debug/doorward"))
GUIDE = (ROOT / "docs/guides/run-in-production.md").read_text()
WRONG = {"email": "ada@example.org", "password": "a window is a promise"}
# What a stranger may write into a request to imitate one of our lines.
FORGED = '{"level":"WARN","message":"sign-in failed","ip":"192.0.2.66","code":"invalid_credentials",'


def main():
    filters = [block for block in re.findall(r"```ini\n(.*?)```", GUIDE, re.DOTALL) if "failregex" in block]
    [text] = filters
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        (folder / "doorward.conf").write_text(text)
        lines = log_of_a_server(folder)
        failed = [json.loads(line) for line in lines if '"message":"sign-in' in line]
        expected = [line.get("ip") or line["network"] for line in failed]
        assert expected.count("203.0.113.9") == 11 and expected.count("2001:db8:1:2::3") == 10, failed
        assert expected.count("2001:db8:1:2::/64") == 1 and len(expected) == 22, failed
        # As a file, and as fail2ban reads the journal.
        for prefix in "", "host doorward[4711]: ":
            log = folder / "log"
            log.write_text("".join(prefix + line for line in lines))
            found = matched(log, folder / "doorward.conf")
            assert sorted(found) == sorted(expected), (prefix, found, expected)
    print("The filter finds each failed sign-in, and nothing else.")


def log_of_a_server(folder):
    """The log of a server at its most talkative, at which two networks guess and one signs in."""
    log = folder / "stderr"
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("DOORWARD", "JWT_"))}
    command = [PROGRAM, "serve", "--listen", "127.0.0.1:0", "--data", str(folder / "data"), "--log-level", "debug"]
    command += ["--log-format", "json", "--set", "trusted_proxies=127.0.0.1/32"]
    with open(log, "w") as stderr:
        server = subprocess.Popen(command, env=clean, stdout=subprocess.PIPE, stderr=stderr, text=True)
        url = re.search(r"http://\S+", server.stdout.readline()).group()
        right = {"name": "Ada", "email": WRONG["email"], "password": "a door is a promise"}
        send(url + "/register", right, "203.0.113.7")
        send(url + "/login", right, "203.0.113.7")
        for ip in "203.0.113.9", "2001:db8:1:2::3":
            for _ in range(12):
                send(url + "/login", WRONG, ip)
        send(url + "/login", {"email": FORGED, "password": FORGED}, "203.0.113.7")
        send(url + "/forward-auth?role=" + urllib.parse.quote(FORGED), None, "203.0.113.7")
        server.terminate()
        assert server.wait() == 0
    return log.read_text().splitlines(keepends=True)


def send(url, body, ip):
    headers = {"Content-Type": "application/json", "X-Forwarded-For": ip, "X-Forwarded-Host": FORGED}
    request = urllib.request.Request(url, body and json.dumps(body).encode(), headers)
    try:
        urllib.request.urlopen(request, timeout=60).close()
    except urllib.error.HTTPError as refused:
        refused.close()


def matched(log, filter_file):
    """The addresses that fail2ban takes from the log, one for each line that it counts."""
    command = ["fail2ban-regex", "--out", "ip", str(log), str(filter_file)]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    return done.stdout.split()


if __name__ == "__main__":
    sys.exit(main())
