//! Files that are no export, places where none can be, and exports of another time.

use std::io::Write;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt, symlink};
use std::path::Path;

use serde_json::{Value, json};

use crate::moving::{moved, other_engine, place, share_secret, with_rows};
use crate::support::Home;

fn exported(home: &Home) -> String {
    let file = home.path().join("export");
    home.run(&["store", "export", &place(&file)]).ok();
    std::fs::read_to_string(file).unwrap()
}

/// The export with another first line.
fn with_header(whole: &str, change: impl Fn(&mut Value)) -> String {
    let (header, rows) = whole.split_once('\n').unwrap();
    let mut header = serde_json::from_str(header).unwrap();
    change(&mut header);
    format!("{header}\n{rows}")
}

#[test]
fn a_file_that_was_made_up_is_refused_before_anything_is_written() {
    let home = Home::sqlite();
    home.create("ada", "user");
    let whole = exported(&home);
    let other = Home::sqlite();
    share_secret(&home, &other);
    let (altered, unfinished) = ("the file was altered", "the export is not finished");
    let none = "the file is no export of Doorward";
    let end = whole.trim_end().rsplit_once('\n').unwrap().1.to_owned();
    let columns = json!(["id", "id) VALUES (1); DROP TABLE users; --"]);
    let made_up = [
        (whole.clone() + &end + "\n", altered),
        (whole.clone() + "{", altered),
        (whole.replace(&end, &json!({ "rows": 0, "mac": "" }).to_string()), altered),
        (with_header(&whole, |header| header["id"] = json!(7)), altered),
        (
            with_header(&whole, |header| header["tables"][0]["name"] = json!("users; DROP TABLE users")),
            altered,
        ),
        (with_header(&whole, |header| header["tables"][0]["columns"] = columns.clone()), unfinished),
        (with_header(&whole, |header| header["tables"][0]["rows"] = json!(u64::MAX)), unfinished),
        (with_header(&whole, |header| header["tables"] = json!([])), altered),
        (with_header(&whole, |header| header["doorward_export"] = json!(2)), "this program knows form 1"),
        (with_header(&whole, |header| header["migration"] = json!(3)), "the tables of migration 3"),
        (with_header(&whole, |header| header["fingerprint"] = json!(1)), "under another root secret"),
        ("[".repeat(900_000) + "\n", none),
        ("x".repeat(3 << 20), none),
        (whole.split_once('\n').unwrap().0.to_owned() + "\n" + &"1".repeat(3 << 20), none),
        (String::new(), unfinished),
        ("\0\0\0\n".to_owned(), none),
    ];
    let file = other.path().join("made-up");
    for (number, (text, problem)) in made_up.into_iter().enumerate() {
        let mut options = std::fs::File::options();
        let made = options.write(true).create(true).truncate(true).mode(0o600).open(&file);
        made.unwrap().write_all(text.as_bytes()).unwrap();
        let refused = other.run(&["store", "import", &place(&file)]);
        assert!(refused.err.contains(problem), "{number}: {refused:?}");
        assert_eq!(refused.code, Some(1));
    }
    assert!(!other.data().join("doorward.db").exists());
}

#[test]
fn an_export_goes_into_no_file_of_others_and_into_none_that_is_something_else() {
    let home = Home::sqlite();
    home.create("ada", "user");
    let at = |name: &str| home.path().join(name);
    let export = |name: &str| home.run(&["store", "export", &place(&at(name))]);
    let text = "precious, and without an end of line";
    std::fs::write(at("precious"), text).unwrap();
    std::fs::set_permissions(at("precious"), std::fs::Permissions::from_mode(0o644)).unwrap();
    symlink(at("precious"), at("link")).unwrap();
    symlink(at("absent"), at("dangling")).unwrap();
    std::fs::hard_link(at("precious"), at("second")).unwrap();
    rustix::fs::mknodat(rustix::fs::CWD, at("pipe"), rustix::fs::FileType::Fifo, 0o600.into(), 0).unwrap();
    for (name, problem) in [
        ("link", "cannot write"),
        ("dangling", "cannot write"),
        ("second", "is not a file of this user alone"),
        ("pipe", "is not a file of this user alone"),
        (".", "cannot write"),
        ("no/such/folder", "cannot write"),
    ] {
        export(name).fails(problem, "name a");
    }
    std::fs::remove_file(at("second")).unwrap();
    export("precious").fails("the file is no export of Doorward", "name another one");
    assert_eq!(std::fs::read_to_string(at("precious")).unwrap(), text);
    assert_eq!(std::fs::metadata(at("precious")).unwrap().permissions().mode() & 0o777, 0o644);
    assert!(!at("absent").exists());
    home.run(&["store", "import", &place(&at("pipe"))]).fails("is not a file", "name the file of an export");
    home.run(&["store", "import", &place(&at("absent"))]).fails("cannot read", "name the file of an export");
}

#[test]
fn two_imports_into_one_database_at_once_leave_it_whole() {
    let home = with_rows(20_000);
    exported(&home);
    let other = other_engine(&home);
    share_secret(&home, &other);
    let file = place(&home.path().join("export"));
    let import = || other.run(&["store", "import", &file]);
    let codes = std::thread::scope(|scope| {
        let both = [scope.spawn(import), scope.spawn(import)];
        both.map(|one| one.join().unwrap())
    });
    assert!(codes.iter().any(|run| run.code == Some(0)) || import().code == Some(0), "{codes:?}");
    for run in codes.iter().filter(|run| run.code != Some(0)) {
        assert!(
            run.err.contains("another process imports")
                || run.err.contains("SQLITE_BUSY")
                || run.err.contains("is being"),
            "{run:?}"
        );
    }
    import().ok();
    assert_eq!(other.run(&["audit", "list", "--limit", "1", "--json"]).code, Some(0));
    assert_eq!(other.serve(&[]).login("ada").status, 200);
}

#[test]
fn an_export_or_import_that_finds_no_room_says_so_and_goes_on_once_there_is() {
    let home = with_rows(20_000);
    let export = ["store", "export", "full/export"];
    let small = "mkdir -p full && mount -t tmpfs -o mode=0700,size=512k none full";
    let Some(full) = home.run_mounted(small, "A=b", &export) else { return };
    full.fails("No space left on device", "goes on where it stopped");
    let file = place(&home.path().join("export"));
    home.run(&["store", "export", &file]).ok();

    let other = Home::sqlite();
    let key = place(&home.data().join("secret.key"));
    let small = format!(
        "mkdir -p data && mount -t tmpfs -o mode=0700,size=2m none data && cp {key} data/secret.key && chmod 600 data/secret.key"
    );
    let full = other.run_mounted(&small, "A=b", &["store", "import", &file]).unwrap();
    assert_eq!(full.code, Some(1), "{full:?}");
    assert!(full.err.contains("full"), "{full:?}");
}

#[test]
fn an_old_export_is_refused_by_a_server_that_has_seen_more_until_it_was_accepted_as_restored() {
    let home = Home::sqlite();
    let server = home.serve(&[]);
    let ada = server.register("ada");
    server.stop();
    exported(&home);
    home.run(&["store", "reopen"]).ok();
    let server = home.serve(&[]);
    // After the export, she logs out.
    assert_eq!(server.post("/logout", &ada.token(), json!({})).status, 200);
    server.stop();

    std::fs::remove_file(home.data().join("doorward.db")).unwrap();
    for rest in ["doorward.db-wal", "doorward.db-shm"] {
        let _ = std::fs::remove_file(home.data().join(rest));
    }
    home.run(&["store", "import", &place(&home.path().join("export"))]).ok();
    home.run(&["serve"]).fails("the database is older than this server's data folder", "doorward restored");
    home.run(&["restored"]).ok();
    let server = home.serve(&[]);
    assert_eq!(server.get("/profile", &ada.token()).status, 401);
    assert_eq!(server.refresh(&ada).status, 401);
}

#[test]
fn a_server_moves_on_with_its_data_folder_to_the_new_database_and_not_back_to_the_old_one() {
    let home = Home::sqlite();
    let server = home.serve(&[]);
    server.register("ada");
    server.stop();
    let other = other_engine(&home);
    moved(&home, &other);
    // The folder has seen what the database had.
    std::fs::copy(home.data().join("history"), other.data().join("history")).unwrap();
    let server = other.serve(&[]);
    let ada = server.login("ada");
    assert_eq!(server.refresh(&ada).status, 200);
    server.stop();
    std::fs::copy(other.data().join("history"), home.data().join("history")).unwrap();
    home.run(&["store", "reopen"]).ok();
    home.run(&["serve"]).fails("the database is older than this server's data folder", "doorward restored");
}

#[test]
fn a_terminal_shows_how_far_it_is() {
    let home = with_rows(2_000);
    let program = home.command(&[]);
    let program = place(Path::new(program.get_program()));
    let line = format!("{program} store export export --data data");
    let mut terminal = std::process::Command::new("script");
    terminal.args(["--quiet", "--return", "--command", &line, "/dev/null"]).current_dir(home.path());
    let Ok(output) = terminal.stdin(std::process::Stdio::null()).output() else {
        eprintln!("SKIPPED: a terminal. It needs script of Debian's bsdutils");
        return;
    };
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(text.contains("\rexporting [") && text.contains(" of 20"), "{text}");
    assert!(text.contains("Exported to"), "{text}");
}
