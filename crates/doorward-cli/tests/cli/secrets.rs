use std::os::unix::fs::PermissionsExt;

use crate::support::Home;

#[test]
fn a_secret_that_others_can_read_is_refused_with_the_fix() {
    let home = Home::sqlite();
    home.create("ada", "user");
    let secret = home.data().join("secret.key");
    std::fs::set_permissions(&secret, std::fs::Permissions::from_mode(0o644)).unwrap();
    for command in [&["serve"][..], &["user", "list"], &["config", "check"]] {
        home.run(command)
            .fails("data/secret.key can be read by others (mode 644)", "chmod 600 data/secret.key");
    }
    std::fs::set_permissions(&secret, std::fs::Permissions::from_mode(0o600)).unwrap();
    home.run(&["user", "list"]).ok();
}

#[test]
fn a_lost_secret_is_not_replaced_and_another_one_is_recognised() {
    let home = Home::sqlite();
    home.create("ada", "user");
    let secret = home.data().join("secret.key");
    let kept = std::fs::read(&secret).unwrap();
    std::fs::remove_file(&secret).unwrap();
    for command in [&["serve"][..], &["user", "list"], &["doctor"]] {
        let run = home.run(command);
        assert_eq!(run.code, Some(1));
        assert!(format!("{run:?}").contains("data/secret.key is missing"), "{run:?}");
        assert!(!secret.exists());
    }
    std::fs::write(&secret, [7; 32]).unwrap();
    std::fs::set_permissions(&secret, std::fs::Permissions::from_mode(0o600)).unwrap();
    home.run(&["serve"]).fails("made under another root secret", "");
    std::fs::write(&secret, kept).unwrap();
    home.run(&["user", "list"]).ok();
}

#[test]
fn j03_a_weak_or_well_known_secret_is_refused_at_the_start() {
    for (value, problem) in [
        ("secret", "is shorter than 32 bytes"),
        ("abababababababababababababababab", "has fewer than 8 distinct bytes"),
        ("Change-Me-change-me-change-me-change-me", "is a well-known example value"),
    ] {
        for name in ["JWT_SECRET", "DOORWARD_SECRET"] {
            let home = Home::sqlite().with(name, value);
            for command in [&["serve"][..], &["config", "check"]] {
                home.run(command).fails(&format!("{name} {problem}"), "openssl rand -base64 32");
            }
            assert!(!home.data().join("doorward.db").exists());
        }
    }
}

#[test]
fn a_secret_can_come_from_a_file_that_only_its_owner_reads() {
    let home = Home::sqlite();
    let file = home.path().join("jwt");
    std::fs::write(&file, "T9k2vQ8xW4mZ7rB1nL6cH3yJ5dF0gS-p\n").unwrap();
    let home = home.with("JWT_SECRET_FILE", file.to_str().unwrap());
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o640)).unwrap();
    home.run(&["config", "check"]).fails("can be read by others (mode 640)", "chmod 600");
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).unwrap();
    let server = home.serve(&[]);
    let token = server.register("ada").token();
    let decoded = home.run(&["token", "decode", "--json", &token]).json();
    assert_eq!(decoded["header"]["alg"], "HS256");
    home.run(&["token", "verify", &token]).ok();
}

#[test]
fn postgresql_needs_the_root_secret_given() {
    let home = Home::sqlite().with("DOORWARD_DATABASE", "postgres://doorward:hunter2@127.0.0.1:1/doorward");
    home.run(&["serve"]).fails("with PostgreSQL the root secret must be given", "DOORWARD_SECRET");
}
