//! Moving to another database: everything, in both directions, whatever interrupts it.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use serde_json::{Value, json};

use crate::support::{Home, PASSWORD, Server, administer, asked};

pub(crate) const MODES: [&str; 3] = ["bearer", "cookie", "session"];

/// A new place on the other engine: PostgreSQL for SQLite, if there is one, and the other way round.
pub(crate) fn other_engine(than: &Home) -> Home {
    let home = Home::sqlite();
    let server = std::env::var("DOORWARD_TEST_POSTGRES");
    match server {
        Ok(server) if than.variable("DOORWARD_DATABASE").is_empty() => {
            let name = home.path().file_name().unwrap().to_string_lossy().replace('.', "");
            let name = format!("moved_{name}");
            administer(&server, &format!("CREATE DATABASE \"{name}\""));
            home.with("DOORWARD_DATABASE", &server.replace("/postgres?", &format!("/{name}?")))
        }
        _ => home,
    }
}

/// Gives a home the root secret of another.
pub(crate) fn share_secret(from: &Home, to: &Home) {
    std::fs::create_dir_all(to.data()).unwrap();
    std::fs::set_permissions(to.data(), std::fs::Permissions::from_mode(0o700)).unwrap();
    std::fs::copy(from.data().join("secret.key"), to.data().join("secret.key")).unwrap();
}

pub(crate) fn place(path: &Path) -> String {
    path.to_str().unwrap().to_owned()
}

/// Moves everything, and returns what both commands say of it.
pub(crate) fn moved(from: &Home, to: &Home) -> Value {
    share_secret(from, to);
    let file = place(&from.path().join("doorward.export"));
    let out = from.run(&["store", "export", &file, "--json"]).json();
    let mode = std::fs::metadata(&file).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode, 0o600);
    let into = to.run(&["store", "import", &file, "--json"]).json();
    assert_eq!(out, into);
    out
}

/// Somebody who is signed in, in one of the modes.
pub(crate) struct SignedIn {
    pub(crate) mode: &'static str,
    /// The cookies, as a browser has them.
    cookies: String,
    /// The tokens of bearer mode.
    pub(crate) body: Value,
}

impl SignedIn {
    pub(crate) fn at(server: &Server, name: &str, mode: &'static str) -> Self {
        let email = format!("{name}@example.org");
        let body = json!({ "email": email, "password": PASSWORD, "mode": mode });
        let (answer, cookies) = talk(server, "POST", "/login", "", "", &body.to_string());
        assert_eq!(answer.0, 200, "{mode}: {answer:?}");
        Self { mode, cookies, body: answer.1 }
    }

    pub(crate) fn profile(&self, server: &Server) -> u16 {
        let bearer = self.body["token"].as_str().unwrap_or_default();
        talk(server, "GET", "/profile", bearer, &self.cookies, "").0.0
    }

    /// Uses the refresh token; a session in session mode has none.
    pub(crate) fn refreshed(&mut self, server: &Server) {
        if self.mode == "session" {
            return;
        }
        let body = match self.body.get("refresh_token") {
            Some(token) => json!({ "refresh_token": token }).to_string(),
            None => "{}".to_owned(),
        };
        let (answer, cookies) = talk(server, "POST", "/refresh", "", &self.cookies, &body);
        assert_eq!(answer.0, 200, "{}: {answer:?}", self.mode);
        (self.cookies, self.body) = (cookies, answer.1);
    }

    fn logged_out(&self, server: &Server) {
        let bearer = self.body["token"].as_str().unwrap_or_default();
        assert_eq!(talk(server, "POST", "/logout", bearer, &self.cookies, "{}").0.0, 200);
    }
}

type Said = (u16, Value);

/// Sends a request with a bearer token and cookies; returns status, body and the cookies that were set.
fn talk(
    server: &Server,
    method: &str,
    path: &str,
    bearer: &str,
    cookies: &str,
    body: &str,
) -> (Said, String) {
    use std::io::{Read, Write};
    let mut stream = server.connect();
    let bearer =
        if bearer.is_empty() { String::new() } else { format!("authorization: Bearer {bearer}\r\n") };
    let cookies = if cookies.is_empty() { String::new() } else { format!("cookie: {cookies}\r\n") };
    let kind = if body.is_empty() { "" } else { "content-type: application/json\r\n" };
    let (host, length) = (&server.address, body.len());
    write!(
        stream,
        "{method} {path} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\naccept: application/json\r\n\
         {bearer}{cookies}{kind}content-length: {length}\r\n\r\n{body}"
    )
    .unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    let (head, body) = text.split_once("\r\n\r\n").unwrap();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    let set = head.lines().filter_map(|line| line.strip_prefix("set-cookie: "));
    let set: Vec<_> =
        set.filter_map(|line| line.split(';').next()).filter(|pair| !pair.ends_with('=')).collect();
    ((status, serde_json::from_str(body).unwrap_or_default()), set.join("; "))
}

#[test]
fn everything_moves_to_the_other_engine_and_back_and_everybody_stays_signed_in() {
    let first = Home::sqlite();
    let server = first.serve(&[]);
    server.register("ada");
    server.register("eve");
    first.create("root", "admin");
    let client = first.run(&["client", "create", "--name", "shop", "--json"]).json();
    first.run(&["invite", "create", "--json"]).ok();
    let mut all: Vec<_> = MODES.iter().map(|mode| SignedIn::at(&server, "ada", mode)).collect();
    let gone: Vec<_> = MODES.iter().map(|mode| SignedIn::at(&server, "eve", mode)).collect();
    gone.iter().for_each(|one| one.logged_out(&server));
    server.stop();

    let second = other_engine(&first);
    let tables = moved(&first, &second)["tables"].clone();
    let rows = |name: &str| {
        tables.as_array().unwrap().iter().find(|one| one["table"] == name).unwrap()["rows"].clone()
    };
    assert_eq!((rows("users"), rows("emails"), rows("clients")), (json!(3), json!(3), json!(1)));
    assert_eq!((rows("challenges"), rows("signing_keys")), (json!(1), json!(1)));
    assert!(rows("sessions").as_u64() >= Some(8) && rows("audit").as_u64() >= Some(10), "{tables}");

    let server = second.serve(&[]);
    for one in &mut all {
        assert_eq!(one.profile(&server), 200, "{}", one.mode);
        one.refreshed(&server);
        assert_eq!(one.profile(&server), 200, "{}", one.mode);
    }
    for one in &gone {
        assert_eq!(one.profile(&server), 401, "{}", one.mode);
    }
    let basic = format!("Basic {}", basic(&client));
    let token = all[0].body["token"].clone();
    assert_eq!(server.post("/introspect", &basic, json!({ "token": token })).body["active"], true);
    assert_eq!(server.login("eve").status, 200);
    server.stop();

    let third = other_engine(&second);
    moved(&second, &third);
    let server = third.serve(&[]);
    for one in &mut all {
        assert_eq!(one.profile(&server), 200, "{}", one.mode);
        one.refreshed(&server);
        one.logged_out(&server);
        assert_eq!(one.profile(&server), 401, "{}", one.mode);
    }
    assert!(gone.iter().all(|one| one.profile(&server) == 401));
}

fn basic(client: &Value) -> String {
    use base64::Engine;
    let text =
        format!("{}:{}", client["client_id"].as_str().unwrap(), client["client_secret"].as_str().unwrap());
    base64::engine::general_purpose::STANDARD.encode(text)
}

#[test]
fn an_exported_database_is_read_and_not_written_until_it_is_opened_again() {
    let home = Home::new();
    let server = home.serve(&[]);
    let ada = server.register("ada");
    let before = home.run(&["user", "list", "--json"]).json();
    let file = place(&home.path().join("export"));
    home.run(&["store", "export", &file]).ok();

    assert_eq!(server.get("/profile", &ada.token()).status, 200);
    let written = [
        server.login("ada"),
        server.refresh(&ada),
        server.post("/logout", &ada.token(), json!({})),
        server.post(
            "/register",
            "",
            json!({ "name": "Eve", "email": "eve@example.org", "password": PASSWORD }),
        ),
    ];
    for answer in written {
        assert_eq!((answer.status, answer.code()), (503, "unavailable"), "{answer:?}");
    }
    assert_eq!(server.get("/profile", &ada.token()).status, 200);
    for command in [&["user", "list"][..], &["serve", "--listen", "127.0.0.1:0"], &["key", "rotate"]] {
        home.run(command).fails("was exported, and is closed to writes", "doorward store reopen");
    }

    assert_eq!(home.run(&["store", "reopen"]).ok(), "The database takes writes again\n");
    assert_eq!(home.run(&["store", "reopen", "--json"]).json(), json!({ "reopened": false }));
    assert_eq!(server.refresh(&ada).status, 200);
    assert_eq!(server.login("ada").status, 200);
    assert_eq!(home.run(&["user", "list", "--json"]).json(), before);
}

#[test]
fn an_export_for_a_copy_opens_the_database_again() {
    let home = Home::new();
    let server = home.serve(&[]);
    let ada = server.register("ada");
    let file = place(&home.path().join("export"));
    home.run(&["store", "export", &file, "--reopen"]).ok();
    assert_eq!(server.refresh(&ada).status, 200);
    // The next one is another export: its file is a new one.
    home.run(&["store", "export", &file]).fails("the file holds another export", "name a new file");
}

/// A home with so many rows that a command takes a while.
pub(crate) fn with_rows(number: u32) -> Home {
    let home = Home::sqlite();
    home.create("ada", "user");
    let database = rusqlite::Connection::open(home.data().join("doorward.db")).unwrap();
    let sql = "WITH RECURSIVE n(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < ?1) INSERT INTO audit \
               (id, created_at, action, actor) SELECT randomblob(16), n, 'login', 'visitor' FROM n";
    database.execute(sql, [number]).unwrap();
    home
}

#[test]
fn an_export_that_was_killed_goes_on_where_it_stopped() {
    let home = with_rows(30_000);
    let file = home.path().join("export");
    let mut child = home.command(&["store", "export", &place(&file)]).spawn().unwrap();
    while std::fs::metadata(&file).map_or(0, |found| found.len()) < 1_000_000 {
        assert!(child.try_wait().unwrap().is_none(), "it was over too soon");
    }
    child.kill().unwrap();
    child.wait().unwrap();
    let written = std::fs::read(&file).unwrap();
    assert!(!String::from_utf8_lossy(&written).contains("\"mac\""), "it was over too soon");
    home.run(&["user", "list"]).fails("was exported, and is closed to writes", "reopen");

    home.run(&["store", "export", &place(&file)]).ok();
    let whole = std::fs::read(&file).unwrap();
    let kept = written.iter().rposition(|byte| *byte == b'\n').unwrap();
    assert!(whole[..kept] == written[..kept]);

    // Wherever it stops, the file becomes the same.
    let ends: Vec<usize> = (0..whole.len()).filter(|at| whole[*at] == b'\n').collect();
    let cuts = [
        0,
        1,
        ends[0],
        ends[0] + 1,
        ends[1] + 3,
        ends[7] + 1,
        whole.len() / 2,
        ends[ends.len() - 2] + 1,
        whole.len() - 1,
    ];
    for cut in cuts {
        std::fs::write(&file, &whole[..cut]).unwrap();
        let unfinished = home.run(&["store", "import", &place(&file)]);
        unfinished.fails("the export is not finished", "goes on where it stopped");
        home.run(&["store", "export", &place(&file)]).ok();
        assert!(std::fs::read(&file).unwrap() == whole, "cut at {cut}");
    }
}

#[test]
fn an_import_that_was_killed_goes_on_where_it_stopped() {
    let home = with_rows(30_000);
    let file = place(&home.path().join("export"));
    home.run(&["store", "export", &file]).ok();
    let other = other_engine(&home);
    share_secret(&home, &other);
    let imported = |other: &Home| -> u64 {
        let sql = "SELECT CAST(value AS TEXT) FROM facts WHERE name = 'imported_rows'";
        match other.variable("DOORWARD_DATABASE").as_str() {
            "" => {
                let database = rusqlite::Connection::open(other.data().join("doorward.db")).unwrap();
                let value: Result<String, _> = database.query_row(sql, [], |row| row.get(0));
                value.map_or(0, |value| value.parse().unwrap())
            }
            url => {
                let there = "SELECT CAST(to_regclass('facts') AS TEXT)";
                if asked(url, there).is_empty() { 0 } else { asked(url, sql).parse().unwrap_or(0) }
            }
        }
    };
    for rows in [1, 3_000, 12_000] {
        let mut child = other.command(&["store", "import", &file]).spawn().unwrap();
        while imported(&other) < rows {
            assert!(child.try_wait().unwrap().is_none(), "it was over too soon");
        }
        child.kill().unwrap();
        child.wait().unwrap();
    }
    assert!(imported(&other) < 30_000, "it was over too soon");
    other.run(&["user", "list"]).fails("an import into this database is not finished", "store import");
    other.run(&["serve"]).fails("an import into this database is not finished", "store import");

    other.run(&["store", "import", &file]).ok();
    other.run(&["store", "import", &file]).ok();
    let server = other.serve(&[]);
    assert_eq!(server.login("ada").status, 200);
    server.stop();
    other.run(&["store", "import", &file]).ok();
}

#[test]
fn an_import_under_another_secret_or_of_an_altered_or_open_file_or_into_a_used_database_is_refused() {
    let home = Home::sqlite();
    home.create("ada", "user");
    let file = home.path().join("export");
    home.run(&["store", "export", &place(&file)]).ok();

    let other = Home::sqlite();
    let import = |other: &Home| other.run(&["store", "import", &place(&file)]);
    import(&other).fails("there is no root secret", "secret.key");
    let stranger = Home::sqlite().with("DOORWARD_SECRET", "an0ther root secret: 0123456789!");
    import(&stranger).fails("made under another root secret", "secret.key");
    assert!(!stranger.data().join("doorward.db").exists());

    share_secret(&home, &other);
    let whole = std::fs::read_to_string(&file).unwrap();
    for (from, to) in [("\"Ada\"", "\"Eve\""), ("\"user\"", "\"admin\""), ("ada", "eve")] {
        let altered = whole.replace(from, to);
        if altered != whole {
            std::fs::write(&file, altered).unwrap();
            import(&other).fails("the file was altered", "export again");
        }
    }
    std::fs::write(&file, "PRAGMA foreign_keys=OFF;\n").unwrap();
    import(&other).fails("the file is no export of Doorward", "name another one");
    home.run(&["store", "export", &place(&file)])
        .fails("the file is no export of Doorward", "name another one");
    std::fs::write(&file, &whole).unwrap();
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o644)).unwrap();
    import(&other).fails("can be read by others (mode 644)", "chmod 600");
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).unwrap();
    assert!(!other.data().join("doorward.db").exists());

    other.create("grace", "admin");
    import(&other).fails("the database has been used already", "name a new one");
    assert!(other.run(&["user", "list"]).ok().contains("grace"));
}

#[test]
fn an_export_needs_the_root_secret_of_the_database() {
    let home = Home::sqlite();
    home.create("ada", "user");
    let file = place(&home.path().join("export"));
    let home = home.with("DOORWARD_SECRET", "an0ther root secret: 0123456789!");
    home.run(&["store", "export", &file]).fails("made under another root secret", "secret.key");
    assert!(!Path::new(&file).exists());
}
