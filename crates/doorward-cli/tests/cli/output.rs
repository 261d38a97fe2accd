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
fn a_reader_that_goes_away_is_no_panic() {
    let home = Home::sqlite();
    let mut child = home.command(&["completions", "bash"]).stdin(Stdio::null()).spawn().unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert_eq!((output.status.code(), output.stderr.as_slice()), (Some(0), &b""[..]));
    for shell in ["bash", "zsh", "fish"] {
        assert!(home.run(&["completions", shell]).ok().contains("reset-link"));
    }
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
    // Without the option that the rest of the tests add: before a command it stands alone.
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
