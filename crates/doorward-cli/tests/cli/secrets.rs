use std::io::Write;
use std::os::unix::fs::{PermissionsExt, chown};

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
fn a_secret_in_a_file_as_kubernetes_and_docker_give_it_is_taken() {
    let home = Home::sqlite();
    home.create("ada", "user");
    let secret = "T9k2vQ8xW4mZ7rB1nL6cH3yJ5dF0gS-p\n";
    std::fs::write(home.path().join("jwt"), secret).unwrap();
    let modes = |mode| {
        let file = home.path().join("jwt");
        std::fs::set_permissions(file, std::fs::Permissions::from_mode(mode)).unwrap();
    };
    // Kubernetes: a link to root's file on a mount that can't be written.
    let read_only = "mkdir -p mounted/..data && mount -t tmpfs none mounted/..data && cp -p jwt mounted/..data/jwt && \
                     mount -o remount,ro none mounted/..data && ln -sf ..data/jwt mounted/jwt";
    // Docker: a file below /run/secrets.
    let below_run = "mount -t tmpfs none /run && mkdir /run/secrets && cp -p jwt /run/secrets/jwt";
    for (mode, prepared, file, warned) in [
        (0o440, read_only, "mounted/jwt", true),
        (0o644, read_only, "mounted/jwt", true),
        (0o400, read_only, "mounted/jwt", false),
        (0o444, below_run, "/run/secrets/jwt", true),
    ] {
        modes(mode);
        let Some(run) = home.run_mounted(prepared, &format!("JWT_SECRET_FILE={file}"), &["config", "check"])
        else {
            return;
        };
        run.ok();
        let run =
            home.run_mounted(prepared, &format!("JWT_SECRET_FILE={file}"), &["doctor", "--json"]).unwrap();
        assert_eq!(run.out.contains("others on this machine may read"), warned, "{mode:o} {file}: {run:?}");
        let _ = std::fs::remove_dir_all(home.path().join("mounted"));
    }
    // Elsewhere, and if others may write, the rule applies.
    modes(0o444);
    let run = home.run_mounted("true", "JWT_SECRET_FILE=jwt", &["config", "check"]).unwrap();
    run.fails("jwt can be read by others (mode 444)", "chmod 600 jwt");
    modes(0o666);
    let run = home.run_mounted(below_run, "JWT_SECRET_FILE=/run/secrets/jwt", &["config", "check"]).unwrap();
    run.fails("can be read by others (mode 666)", "chmod 600");
}

#[test]
fn a_secret_of_roots_may_be_read_by_a_group_and_one_of_another_user_is_refused() {
    const OURS: u32 = 65_534;
    if !rustix::process::geteuid().is_root() {
        let line = "SKIPPED: files of several users. To run it too: as root\n";
        return std::io::stderr().write_all(line.as_bytes()).unwrap();
    }
    let home = Home::sqlite();
    let file = home.path().join("jwt");
    std::fs::write(&file, "T9k2vQ8xW4mZ7rB1nL6cH3yJ5dF0gS-p\n").unwrap();
    chown(home.path(), Some(OURS), Some(OURS)).unwrap();
    for (owner, mode, refusal) in [
        (0, 0o640, None),
        (0, 0o440, None),
        (0, 0o644, Some("can be read by others (mode 644)")),
        (0, 0o660, Some("can be read by others (mode 660)")),
        (OURS, 0o400, None),
        (OURS, 0o640, Some("can be read by others (mode 640)")),
        (4_711, 0o440, Some("belongs to user id 4711")),
        (4_711, 0o444, Some("belongs to user id 4711")),
    ] {
        chown(&file, Some(owner), Some(OURS)).unwrap();
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(mode)).unwrap();
        let run = home.run_as(OURS, "JWT_SECRET_FILE=jwt", &["config", "check"]);
        let Some(run) = run else { return };
        match refusal {
            None => drop(run.ok()),
            Some(refusal) => run.fails(refusal, "chmod 600 jwt"),
        }
    }
}

#[test]
fn the_file_of_the_database_url_is_a_secret_too() {
    let home = Home::sqlite()
        .with("DOORWARD_DATABASE_FILE", "url")
        .with("DOORWARD_SECRET", "an0ther root secret: 0123456789!");
    let file = home.path().join("url");
    std::fs::write(&file, "postgres://ada:sesame-4711@127.0.0.1:1/none\n").unwrap();
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o644)).unwrap();
    home.run(&["config", "check"]).fails("url can be read by others (mode 644)", "chmod 600 url");
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).unwrap();
    home.run(&["config", "check"]).ok();
}

#[test]
fn headers_for_a_collector_are_a_secret_and_none_that_the_client_sets() {
    let with = |headers: &str| Home::sqlite().with("DOORWARD_OTEL_HEADERS", headers);
    for headers in
        ["", "authorization=Bearer%20sesame", "x-a=1,x-b=2=3, x-c=", "authorization=Basic c2VzYW1l"]
    {
        let home = with(headers);
        home.run(&["config", "check"]).ok();
        assert!(!home.run(&["config", "print"]).ok().contains("sesame"));
    }
    for headers in [
        "authorization",
        "=sesame",
        "a b=sesame",
        "x-a=1,x-b=sesame%0d%0ax-c: 2",
        "host=sesame",
        "Content-Length=4711",
        "transfer-encoding=chunked",
        "x-a=1,,Connection=sesame",
    ] {
        let run = with(headers).run(&["config", "check"]);
        assert!(!run.err.contains("sesame"), "{headers}: {run:?}");
        run.fails("is no header that can be set", "authorization=Bearer%20TOKEN");
    }
    let home = Home::sqlite().with("DOORWARD_OTEL_HEADERS_FILE", "headers");
    let file = home.path().join("headers");
    std::fs::write(&file, "authorization=Bearer%20sesame\n").unwrap();
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o644)).unwrap();
    home.run(&["config", "check"]).fails("headers can be read by others (mode 644)", "chmod 600 headers");
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).unwrap();
    home.run(&["config", "check"]).ok();
}

#[test]
fn the_secrets_must_differ() {
    let same = "T9k2vQ8xW4mZ7rB1nL6cH3yJ5dF0gS-p";
    let names = ["DOORWARD_SECRET", "DOORWARD_SECRET_OTHER", "JWT_SECRET", "DOORWARD_FEED_SECRET"];
    for (one, other) in [(0, 1), (0, 2), (1, 2), (0, 3), (1, 3), (2, 3)] {
        let home = Home::sqlite().with(names[one], same).with(names[other], same);
        for command in [&["serve"][..], &["config", "check"], &["config", "print"]] {
            home.run(command).fails("are the same: who has one has the other", "make each with");
        }
        let run = home.run(&["doctor"]);
        assert!(run.out.contains(&format!("{} and {} are the same", names[other], names[one])), "{run:?}");
    }
}

#[test]
fn a_data_folder_or_a_file_in_it_that_others_may_write_is_refused() {
    let home = Home::sqlite();
    home.create("ada", "user");
    let chmod = |name: &str, mode| {
        std::fs::set_permissions(home.data().join(name), std::fs::Permissions::from_mode(mode)).unwrap();
    };
    // As a killed server leaves them.
    let beside = ["doorward.db-wal", "doorward.db-shm"];
    for name in beside {
        std::fs::write(home.data().join(name), "").unwrap();
        chmod(name, 0o600);
    }
    for (name, mode, good) in [
        ("doorward.db", 0o660, 0o600),
        ("doorward.db", 0o602, 0o600),
        ("doorward.db-wal", 0o620, 0o600),
        ("doorward.db-shm", 0o666, 0o600),
        ("secret.key", 0o620, 0o600),
        ("", 0o777, 0o700),
        ("", 0o770, 0o700),
        ("", 0o1777, 0o700),
    ] {
        chmod(name, mode);
        for command in [&["serve"][..], &["user", "list"], &["config", "check"], &["config", "print"]] {
            home.run(command).fails("can be written by others (mode ", "chmod go-w data");
        }
        let run = home.run(&["doctor"]);
        assert!(run.code == Some(1) && run.out.contains("can be written by others"), "{name}: {run:?}");
        chmod(name, good);
    }
    home.run(&["user", "list"]).ok();
}

#[test]
fn a_data_folder_that_is_a_mount_point_may_have_the_mode_of_its_machine() {
    let home = Home::sqlite();
    let mounted = "mkdir -p data && mount -t tmpfs -o mode=0777 none data";
    let Some(run) = home.run_mounted(mounted, "A=b", &["config", "check"]) else { return };
    run.ok();
    std::fs::write(home.path().join("word"), "a door is a promise").unwrap();
    let create =
        "\"$0\" user create --email a@example.org --name a --data data --password-stdin <word >/dev/null";
    let run = home.run_mounted(&format!("{mounted} && {create}"), "A=b", &["doctor"]).unwrap();
    let warning = "warn  files: the data folder data can be written by others (mode 777)";
    assert!(run.out.contains(warning), "{run:?}");
}

#[test]
fn a_tls_key_that_others_may_read_is_refused() {
    let home = Home::sqlite();
    let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    std::fs::write(home.path().join("cert.pem"), made.cert.pem()).unwrap();
    let key = home.path().join("key.pem");
    std::fs::write(&key, made.signing_key.serialize_pem()).unwrap();
    let tls = ["--set", "tls.cert=cert.pem", "--set", "tls.key=key.pem", "--set", "listen=127.0.0.1:0"];
    for mode in [0o644, 0o640, 0o604, 0o620] {
        std::fs::set_permissions(&key, std::fs::Permissions::from_mode(mode)).unwrap();
        let run = home.run(&[&["serve"][..], &tls].concat());
        assert!(run.code == Some(1) && run.err.contains("key.pem can be "), "{run:?}");
        assert!(run.err.contains("by others (mode ") && run.err.contains("chmod 600 key.pem"), "{run:?}");
        let run = home.run(&[&["doctor"][..], &tls].concat());
        assert!(run.code == Some(1) && run.out.contains("fail  tls: key.pem can be "), "{run:?}");
    }
}

#[test]
fn postgresql_needs_the_root_secret_given() {
    let home = Home::sqlite().with("DOORWARD_DATABASE", "postgres://doorward:hunter2@127.0.0.1:1/doorward");
    home.run(&["serve"]).fails("with PostgreSQL the root secret must be given", "DOORWARD_SECRET");
}
