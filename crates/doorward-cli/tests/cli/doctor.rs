use std::os::unix::fs::PermissionsExt;

use crate::support::Home;

#[test]
fn a_sound_installation_is_found_sound_and_left_as_it_is() {
    let home = Home::sqlite();
    home.create("grace", "admin");
    let text = home.run(&["doctor"]).ok();
    assert!(text.lines().all(|line| line.starts_with("ok ")), "{text}");
    for what in ["settings", "data folder", "secret", "database", "keys", "accounts"] {
        assert!(text.contains(&format!("ok    {what}: ")), "{what} in {text}");
    }
}

#[test]
fn nothing_yet_is_a_warning_and_nothing_is_made() {
    let home = Home::sqlite();
    let text = home.run(&["doctor"]).ok();
    assert!(text.contains("warn  data folder: there is no data yet"), "{text}");
    assert!(!home.data().exists());
}

#[test]
fn what_is_wrong_comes_with_what_to_do() {
    let home = Home::sqlite();
    home.create("ada", "user");
    let chmod = |name: &str, mode| {
        let file = home.data().join(name);
        std::fs::set_permissions(file, std::fs::Permissions::from_mode(mode)).unwrap();
    };
    chmod("", 0o755);
    chmod("doorward.db", 0o644);
    let text = home.run(&["doctor"]).ok();
    for line in [
        "warn  data folder: others may enter data (mode 755)\n      hint: chmod 700 data",
        "warn  database: others may read data/doorward.db (mode 644)\n      hint: chmod 600 data/doorward.db",
        "warn  accounts: there is no admin yet\n      hint: doorward user create --role admin",
    ] {
        assert!(text.contains(line), "{line} in {text}");
    }
    chmod("secret.key", 0o604);
    let run = home.run(&["doctor"]);
    assert!(run.code == Some(1) && run.out.contains("hint: chmod 600 data/secret.key"), "{run:?}");
    chmod("secret.key", 0o600);
    for beside in ["doorward.db-wal", "doorward.db-shm"] {
        let _ = std::fs::remove_file(home.data().join(beside));
    }
    std::fs::write(home.data().join("doorward.db"), "no database at all, but long enough to be looked at")
        .unwrap();
    let run = home.run(&["doctor"]);
    assert!(run.code == Some(1) && run.out.contains("fail  database: "), "{run:?}");
    let run = home.run(&["doctor", "--listen-to-me"]);
    assert_eq!(run.code, Some(2));
    let run = home.run(&["doctor", "--json", "--set", "listen=0.0.0.0:80"]);
    let found: serde_json::Value = serde_json::from_str(&run.out).unwrap();
    assert_eq!((run.code, &found[0]["health"]), (Some(1), &"fail".into()));
}
