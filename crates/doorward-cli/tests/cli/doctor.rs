use std::os::unix::fs::PermissionsExt;

use crate::support::Home;

#[test]
fn a_sound_installation_is_found_sound_and_left_as_it_is() {
    let home = Home::sqlite();
    home.create("grace", "admin");
    let text = home.run(&["doctor"]).ok();
    assert!(text.lines().all(|line| line.starts_with("ok ")), "{text}");
    for what in ["settings", "data folder", "disk", "clock", "secret", "database", "keys", "accounts"] {
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

#[test]
fn what_it_stands_on_is_looked_at_too() {
    let home = Home::sqlite();
    home.create("grace", "admin");
    let certified = |name: &str| {
        let made = rcgen::generate_simple_self_signed(vec![name.to_owned()]).unwrap();
        std::fs::write(home.path().join("cert.pem"), made.cert.pem()).unwrap();
        std::fs::write(home.path().join("key.pem"), made.signing_key.serialize_pem()).unwrap();
        let key = home.path().join("key.pem");
        std::fs::set_permissions(key, std::fs::Permissions::from_mode(0o600)).unwrap();
    };
    let tls = ["doctor", "--set", "tls.cert=cert.pem", "--set", "tls.key=key.pem", "--set"];
    let with_tls = |url: &str| home.run(&[tls.as_slice(), &[&format!("public_url={url}")]].concat());
    certified("accounts.example.com");
    assert!(
        with_tls("https://accounts.example.com").ok().contains("ok    tls: the certificate is good for ")
    );
    let elsewhere = with_tls("https://login.example.com");
    assert_eq!(elsewhere.code, Some(1));
    assert!(elsewhere.out.contains("fail  tls: the certificate is for another host"), "{elsewhere:?}");
    let old = std::fs::read(home.path().join("key.pem")).unwrap();
    certified("accounts.example.com");
    std::fs::write(home.path().join("key.pem"), old).unwrap();
    let mixed = with_tls("https://accounts.example.com");
    assert!(mixed.code == Some(1) && mixed.out.contains("fail  tls: key.pem: "), "{mixed:?}");

    let proxied = home.run(&["doctor", "--set", "public_url=https://accounts.example.com"]).ok();
    assert!(proxied.contains("warn  settings: trusted_proxies is empty"), "{proxied}");

    let file = std::fs::File::options().append(true).open(home.data().join("secret.key")).unwrap();
    let now = std::fs::metadata(home.path().join("key.pem")).unwrap().modified().unwrap();
    let later = now + std::time::Duration::from_secs(3_650);
    file.set_modified(later).unwrap();
    let text = home.run(&["doctor"]).ok();
    assert!(
        text.contains("warn  clock: a file in data is 3") && text.contains("hint: set this machine's clock"),
        "{text}"
    );
}

#[test]
fn a_password_in_a_file_that_everybody_reads_is_noticed() {
    let home = Home::sqlite();
    let file = home.path().join("doorward.toml");
    let text = "database = \"postgres://ada:sesame-4711@127.0.0.1:1/none\"\n";
    std::fs::write(&file, text).unwrap();
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o644)).unwrap();
    let run = home.run(&["doctor"]);
    assert!(run.out.contains("warn  settings: everybody can read doorward.toml (mode 644)"), "{run:?}");
    assert!(!format!("{run:?}").contains("sesame"), "{run:?}");
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o640)).unwrap();
    assert!(!home.run(&["doctor"]).out.contains("everybody can read"));
}
