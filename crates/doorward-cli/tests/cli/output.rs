use std::io::Write;
use std::process::Stdio;

use crate::support::Home;

#[test]
fn every_json_flag_gives_json_and_nothing_else() {
    let home = Home::new();
    let create =
        ["user", "create", "--json", "--email", "ada@example.org", "--name", "Ada", "--role", "admin"];
    assert_eq!(home.run(&create).json()["role"], "admin");
    for command in [
        &["user", "list"][..],
        &["user", "show", "ada@example.org"],
        &["user", "role", "ada@example.org", "admin"],
        &["user", "enable", "ada@example.org"],
        &["user", "reset-link", "ada@example.org"],
        &["session", "list"],
        &["session", "list", "ada@example.org"],
        &["session", "end", "--user", "ada@example.org"],
        &["key", "list"],
        &["key", "rotate"],
        &["invite", "create"],
        &["audit", "list"],
        &["config", "print"],
        &["doctor"],
    ] {
        let said = home.run(&[command, &["--json"]].concat()).json();
        assert!(said.is_array() || said.is_object(), "{command:?}: {said}");
    }
    assert!(home.run_with(&["hash", "--json"], "something").json()["hash"].is_string());
}

#[test]
fn a_hash_is_made_described_and_verified() {
    let home = Home::sqlite();
    let hash = home.run_with(&["hash"], "a door is a promise\n").ok();
    assert!(hash.starts_with("$2b$10$"), "{hash}");
    let check = ["verify-hash", hash.trim()];
    assert_eq!(
        home.run_with(&check, "a door is a promise\r\n").ok(),
        "The password matches: bcrypt $2b$, cost 10\n"
    );
    let wrong = home.run_with(&check, "a window is a promise");
    assert_eq!((wrong.code, wrong.err.as_str()), (Some(1), ""));
    assert_eq!(wrong.out, "The password does not match: bcrypt $2b$, cost 10\n");
    let argon2 = home.run_with(&["hash", "--set", "password.algorithm=argon2id"], "a door is a promise").ok();
    assert!(argon2.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{argon2}");
    home.run_with(&["verify-hash", "--json", argon2.trim()], "a door is a promise").json();
    home.run_with(&["verify-hash", "b$10$x"], "x").fails("is no bcrypt or argon2 hash", "single quotes");
}

#[test]
fn completions_know_the_commands() {
    for shell in ["bash", "zsh", "fish"] {
        assert!(Home::sqlite().run(&["completions", shell]).ok().contains("reset-link"));
    }
}

/// A full disk, and a pipe whose reader is gone.
fn unwritable() -> [(Stdio, &'static str); 2] {
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let full = std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    [(full.into(), "No space left on device"), (writer.into(), "Broken pipe")]
}

#[test]
fn output_that_cannot_be_written_is_an_error_of_every_command() {
    let home = Home::new();
    home.create("ada", "admin");
    let token = {
        let server = home.serve(&[]);
        server.login("ada").token()
    };
    let hash = home.run_with(&["hash"], "a door is a promise").ok();
    for arguments in [
        &["--help"][..],
        &["--version"],
        &["help"],
        &["help", "user"],
        &["help", "user", "create"],
        &["user", "--help"],
        &["serve", "-h"],
        &["completions", "bash"],
        &["serve", "--listen", "127.0.0.1:0"],
        &["user", "create", "--email", "NEW@example.org", "--name", "Ben"],
        &["user", "list"],
        &["user", "list", "--json"],
        &["user", "show", "ada@example.org"],
        &["user", "role", "ada@example.org", "admin"],
        &["user", "enable", "ada@example.org"],
        &["user", "reset-link", "ada@example.org"],
        &["session", "list"],
        &["token", "explain", &token],
        &["token", "verify", &token],
        &["hash"],
        &["verify-hash", hash.trim()],
        &["calibrate"],
        &["key", "list"],
        &["key", "rotate"],
        &["invite", "create"],
        &["client", "create", "--name", "Shop"],
        &["client", "list"],
        &["audit", "list"],
        &["config", "print"],
        &["config", "check"],
        &["session", "end", "--user", "ada@example.org"],
        &["doctor"],
    ] {
        for (stdout, why) in unwritable() {
            let mut command = home.command(&[]);
            // One account for each.
            let arguments = arguments.iter().map(|one| one.replace("NEW", why.split(' ').next().unwrap()));
            let arguments: Vec<_> = arguments.collect();
            // The options that the other tests add would come before the command that help is about.
            let mut child = command.args(&arguments).stdin(Stdio::piped()).stdout(stdout).spawn().unwrap();
            let _ = child.stdin.take().unwrap().write_all(b"a door is a promise");
            let output = child.wait_with_output().unwrap();
            let said = String::from_utf8(output.stderr).unwrap();
            assert_eq!(output.status.code(), Some(1), "{arguments:?}: {said}");
            let expected = format!("error: cannot write to standard output: {why}");
            assert!(said.contains(&expected), "{arguments:?}: {said}");
        }
    }
}

#[test]
fn a_secret_that_nobody_saw_belongs_to_no_client() {
    let home = Home::new();
    home.create("ada", "admin");
    for (stdout, _) in unwritable() {
        let mut command = home.command(&["client", "create", "--name", "Shop"]);
        assert_eq!(command.stdout(stdout).spawn().unwrap().wait().unwrap().code(), Some(1));
    }
    assert_eq!(home.run(&["client", "list", "--json"]).json(), serde_json::json!([]));
}

#[test]
fn a_link_that_nobody_saw_is_not_made_and_voids_no_older_one() {
    let home = Home::new();
    home.create("ada", "admin");
    let older = home.run(&["user", "reset-link", "ada@example.org", "--json"]).json();
    let made = || {
        let entries = home.run(&["audit", "list", "--json"]).json();
        let actions = entries.as_array().unwrap().iter().map(|entry| entry["action"].as_str().unwrap());
        let links = actions.filter(|action| ["reset_link_made", "invitation_made"].contains(action));
        links.count()
    };
    assert_eq!(made(), 1);
    for arguments in [&["user", "reset-link", "ada@example.org"][..], &["invite", "create"]] {
        for json in [&[][..], &["--json"]] {
            for (stdout, _) in unwritable() {
                let mut command = home.command(&[arguments, json].concat());
                assert_eq!(command.stdout(stdout).spawn().unwrap().wait().unwrap().code(), Some(1));
            }
        }
    }
    assert_eq!(made(), 1);
    let server = home.serve(&[]);
    let token = older["url"].as_str().unwrap().split_once("token=").unwrap().1;
    let body = serde_json::json!({ "token": token, "new_password": "another good phrase" });
    assert_eq!(server.post("/password/reset", "", body).status, 200);
}

#[test]
fn usage_errors_exit_with_2_and_help_with_0() {
    let home = Home::sqlite();
    for wrong in [
        &[][..],
        &["user"],
        &["session", "end"],
        &["user", "show", "not an address"],
        &["key", "rotate", "--activate-in", "soon"],
    ] {
        let run = home.run(wrong);
        assert_eq!((run.code, run.out.as_str()), (Some(2), ""), "{run:?}");
    }
    // Without the option that the other tests add: before a command it is alone.
    for asked in [&["--help"][..], &["--version"], &["help", "user"]] {
        let output = std::process::Command::new(env!("CARGO_BIN_EXE_doorward")).args(asked).output().unwrap();
        assert!(
            output.status.success()
                && output.stdout.starts_with(if asked[0] == "--version" { b"doorward 0" } else { b"" })
        );
    }
}

#[test]
fn calibration_measures_and_recommends_one_cost() {
    let measured = Home::sqlite().run(&["calibrate", "--json"]).json();
    let rows = measured.as_array().unwrap();
    assert!(rows.len() >= 2 && rows[0]["hash"] == "bcrypt $2b$, cost 10", "{measured}");
    assert_eq!(rows.iter().filter(|row| row["recommended"] == true).count(), 1);
    assert_eq!(rows.last().unwrap()["setting"], "password.algorithm = \"argon2id\"");
}
