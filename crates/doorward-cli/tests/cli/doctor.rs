use std::os::unix::fs::PermissionsExt;

use crate::support::{Home, administer};

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
fn a_clock_that_is_off_the_databases_is_noticed_and_is_a_failure_where_a_server_would_not_be_ready() {
    let home = Home::new();
    let database = home.variable("DOORWARD_DATABASE");
    if database.is_empty() {
        return;
    }
    home.create("grace", "admin");
    for (apart, health, way) in [
        (0, "ok", ""),
        (8, "warn", "behind"),
        (-8, "warn", "ahead of"),
        (40, "fail", "behind"),
        (-86_400, "fail", "ahead of"),
    ] {
        let sql = format!(
            "CREATE OR REPLACE VIEW store_state AS SELECT \
             CAST(extract(epoch FROM clock_timestamp()) * 1000000 AS BIGINT) + {apart} * 1000000::BIGINT AS micros, \
             current_setting('transaction_read_only') AS read_only"
        );
        administer(&database, &sql);
        let run = home.run(&["doctor"]);
        // When the database's clock is behind, its key isn't active yet.
        assert!(health != "fail" || run.code == Some(1), "{apart}: {run:?}");
        let line =
            run.out.lines().find(|line| line.contains("clock: ") && line.contains("database server's"));
        let line = line.unwrap_or_default();
        assert!(line.starts_with(health) && line.contains(way), "{apart}: {line}");
    }
}

#[test]
fn limits_that_differ_from_another_servers_are_noticed() {
    let home = Home::new();
    home.serve(&["--set", "throttle.account=5/30s", "--set", "access.ttl=7m"]).stop();
    let same = home.run(&["doctor", "--set", "throttle.account=5/30s", "--set", "access.ttl=7m"]).out;
    assert!(!same.contains("servers: "), "{same}");
    let other = home.run(&["doctor"]).ok();
    for what in ["warn  servers: limits differ", "warn  servers: lifetimes differ"] {
        assert!(other.contains(what), "{other}");
    }
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

/// What stops a start, and how the installation got there.
struct Refusal {
    words: &'static str,
    home: Home,
    arguments: Vec<String>,
}

fn refusal(words: &'static str, home: Home, settings: &[&str]) -> Refusal {
    let arguments = settings.iter().flat_map(|setting| ["--set".to_owned(), (*setting).to_owned()]);
    Refusal { words, home, arguments: arguments.collect() }
}

fn used() -> Home {
    let home = Home::sqlite();
    home.create("ada", "admin");
    home
}

fn with_file(home: Home, name: &str, content: &[u8], mode: u32) -> Home {
    let file = home.path().join(name);
    std::fs::write(&file, content).unwrap();
    std::fs::set_permissions(file, std::fs::Permissions::from_mode(mode)).unwrap();
    home
}

fn in_database(sql: &str) -> Home {
    let home = used();
    rusqlite::Connection::open(home.data().join("doorward.db")).unwrap().execute_batch(sql).unwrap();
    home
}

/// What `config check` can see: settings and secrets.
fn refusals_of_the_settings() -> Vec<Refusal> {
    let strong = "T9k2vQ8xW4mZ7rB1nL6cH3yJ5dF0gS-p";
    let postgres = "postgres://ada:sesame@127.0.0.1:1/none";
    vec![
        refusal("listen is beyond loopback", Home::sqlite(), &["listen=0.0.0.0:80"]),
        refusal("there is no setting", Home::sqlite(), &["acess.ttl=5m"]),
        refusal("is not a duration", Home::sqlite(), &["access.ttl=soon"]),
        refusal("not valid TOML", with_file(Home::sqlite(), "doorward.toml", b"listen = [", 0o600), &[]),
        refusal("there is no such setting", Home::sqlite().with("DOORWARD_REFRSH_TTL", "1d"), &[]),
        refusal("there is no parameter sslkey", Home::sqlite(), &["database=postgres://h/d?sslkey=x"]),
        refusal("the root secret must be given", Home::sqlite().with("DOORWARD_DATABASE", postgres), &[]),
        refusal("is shorter than 32 bytes", Home::sqlite().with("JWT_SECRET", "secret"), &[]),
        refusal("are both set", Home::sqlite().with("JWT_SECRET", strong).with("JWT_SECRET_FILE", "x"), &[]),
        refusal("cannot use gone", Home::sqlite().with("DOORWARD_FEED_SECRET_FILE", "gone"), &[]),
        refusal(
            "are the same",
            Home::sqlite().with("JWT_SECRET", strong).with("DOORWARD_SECRET", strong),
            &[],
        ),
        refusal("does not hold 32 bytes", with_file(used(), "data/secret.key", b"short", 0o600), &[]),
        refusal("can be read by others", with_file(used(), "data/secret.key", &[7; 32], 0o640), &[]),
        refusal("can be written by others", with_file(used(), "data/doorward.db-wal", b"", 0o620), &[]),
    ]
}

/// What shows only when the database is opened or an address is bound.
fn refusals_of_the_start() -> Vec<Refusal> {
    let tls = ["tls.cert=cert.pem", "tls.key=key.pem"];
    let broken = with_file(Home::sqlite(), "cert.pem", b"no certificate", 0o600);
    vec![
        refusal("under another root secret", with_file(used(), "data/secret.key", &[7; 32], 0o600), &[]),
        refusal(
            "the database is newer than this program",
            in_database("INSERT INTO migrations (version, checksum, applied_at) VALUES (99, x'00', 0)"),
            &[],
        ),
        refusal(
            "was run with another text",
            in_database("UPDATE migrations SET checksum = x'00' WHERE version = 1"),
            &[],
        ),
        refusal(
            "a development server (--dev) has used this database",
            in_database("UPDATE facts SET value = 1 WHERE name = 'server_kind'"),
            &[],
        ),
        refusal(
            "a production server has used this database",
            in_database("UPDATE facts SET value = 2 WHERE name = 'server_kind'"),
            &["dev=true"],
        ),
        refusal("cert.pem", with_file(broken, "key.pem", b"no key", 0o600), &tls),
        refusal(
            "cannot listen on 192.0.2.1:80",
            Home::sqlite(),
            &["listen=192.0.2.1:80", "public_url=https://a.example"],
        ),
        refusal(
            "for metrics, 192.0.2.1:80",
            Home::sqlite(),
            &["metrics.listen=192.0.2.1:80", "metrics.public=true", "listen=127.0.0.1:0"],
        ),
        refusal("cannot make the data folder", with_file(Home::sqlite(), "data", b"a file", 0o600), &[]),
        refusal(
            "cannot make the data folder",
            with_file(Home::sqlite(), "file", b"", 0o600),
            &["data=file/deeper"],
        ),
        refusal(
            "check host and port",
            Home::sqlite()
                .with("DOORWARD_DATABASE", "postgres://ada:sesame@127.0.0.1:1/none")
                .with("DOORWARD_SECRET", "a root secret for tests: 0123456789"),
            &["postgres.start_timeout=0s"],
        ),
    ]
}

#[test]
fn what_stops_a_start_is_known_to_the_check_up_and_what_is_in_the_settings_to_their_commands() {
    let check = |refusal: &Refusal, command: &[&str]| {
        let arguments: Vec<&str> =
            command.iter().copied().chain(refusal.arguments.iter().map(String::as_str)).collect();
        refusal.home.run(&arguments)
    };
    let all = refusals_of_the_settings().into_iter().map(|refusal| (refusal, true));
    for (refusal, in_settings) in
        all.chain(refusals_of_the_start().into_iter().map(|refusal| (refusal, false)))
    {
        let start = check(&refusal, &["serve"]);
        assert!(start.code == Some(1) && start.err.contains(refusal.words), "{}: {start:?}", refusal.words);
        let doctor = check(&refusal, &["doctor"]);
        let fails: String = doctor.out.lines().filter(|line| line.starts_with("fail  ")).collect();
        assert!(doctor.code == Some(1) && fails.contains(refusal.words), "{}: {doctor:?}", refusal.words);
        if in_settings {
            for command in [["config", "check"], ["config", "print"]] {
                let run = check(&refusal, &command);
                assert!(
                    run.code == Some(1) && run.err == start.err && run.out.is_empty(),
                    "{run:?} {start:?}"
                );
            }
        }
    }
}
