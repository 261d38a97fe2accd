//! A disk that is really full: people can still sign out (attack X10).

use std::io::Write;
use std::path::Path;
use std::time::Duration;

use serde_json::json;

use crate::support::{Answer, Home, Server, within};

/// Fills the disk up to the last byte, and again after something was freed.
fn fill(file: &Path) {
    let mut file = std::fs::File::options().create(true).append(true).open(file).unwrap();
    for size in [1 << 20, 4096, 1] {
        let piece = vec![1; size];
        while file.write_all(&piece).is_ok() {}
    }
}

/// Whether the server accepts no more sign-ins for lack of room, which it notices within a second.
fn has_no_room(server: &Server) -> bool {
    server.login("ada").code() == "no_room"
}

fn logout(server: &Server, signed_in: &Answer) -> Answer {
    server.post("/logout", "", json!({ "refresh_token": signed_in.body["refresh_token"] }))
}

#[test]
fn x10_on_a_disk_that_is_really_full_endings_refreshes_and_new_passwords_go_on() {
    let home = Home::sqlite();
    let small = ["--set", "data.reserve=16777216", "--set", "password.bcrypt_cost=10"];
    let Some(server) = home.serve_on_a_disk(120, &small) else { return };
    server.register("ada");
    let sessions: Vec<_> = (0..15).map(|_| server.login("ada")).collect();
    let other = server.register("ben");
    let third = server.register("carl");
    let filler = server.sees(&home.data().join("filler"));
    fill(&filler);
    within(Duration::from_secs(20), || has_no_room(&server));
    server.logged("the disk of the data folder is nearly full");
    fill(&filler);
    for (n, signed_in) in sessions.iter().enumerate() {
        if n % 3 == 0 {
            let refreshed =
                server.post("/refresh", "", json!({ "refresh_token": signed_in.body["refresh_token"] }));
            assert_eq!(refreshed.status, 200, "{n}: {refreshed:?}");
        }
        let out = logout(&server, signed_in);
        assert_eq!(out.status, 200, "{n}: {out:?}");
        assert_eq!(server.get("/profile", &signed_in.token()).code(), "session_ended", "{n}");
        // Another program takes freed room at once.
        fill(&filler);
    }
    let body = json!({ "current_password": crate::support::PASSWORD, "new_password": "another good phrase" });
    assert_eq!(server.post("/profile/password", &other.token(), body).status, 200);
    let out = server.post("/logout/all", &third.token(), json!({}));
    assert_eq!(out.status, 200, "{out:?}");
    // The command line follows the same rule.
    home.run_beside(&server, &["user", "disable", "ben@example.org"]).ok();
    server.soon(&other.token(), "token_stale");
    for refused in [
        &["user", "create", "--email", "n@example.org", "--name", "N"][..],
        &["user", "enable", "ben@example.org"],
        &["user", "reset-link", "ben@example.org"],
        &["invite", "create"],
        &["key", "rotate"],
    ] {
        home.run_beside(&server, refused).fails("disk is nearly full", "make room");
    }
    let doctor = home.run_beside(&server, &["doctor"]);
    assert!(doctor.code == Some(1) && doctor.out.contains("less than data.reserve"), "{doctor:?}");
    std::fs::remove_file(&filler).unwrap();
    server.logged("has room again");
    assert_eq!(server.login("ada").status, 200);
    server.stop();
}

#[test]
fn nothing_but_the_data_folder_must_be_writable() {
    let home = Home::sqlite();
    std::fs::create_dir(home.data()).unwrap();
    let prepared = "for place in / /tmp /var/tmp; do mount --rbind $place $place; mount -o remount,bind,ro $place; done; \
                    cd \"$PWD\"; mount -t tmpfs -o mode=0700 none data; ! touch written 2>/dev/null";
    let make = ["user", "create", "--email", "ada@example.org", "--name", "Ada"];
    let Some(run) = home.run_mounted(prepared, "A=b", &make) else { return };
    assert!(run.ok().contains("ada@example.org"));
}
