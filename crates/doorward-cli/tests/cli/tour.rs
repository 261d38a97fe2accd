use std::io::Write;
use std::process::{Command, Stdio};

use crate::support::Home;

#[test]
fn two_runs_print_the_same_bytes_in_80_columns_and_leave_nothing_behind() {
    let home = Home::sqlite();
    let first = home.run(&["tour"]).ok();
    assert_eq!(first, home.run(&["tour"]).ok());
    for line in first.lines() {
        assert!(line.chars().count() <= 80, "{line}");
    }
    assert!(!first.contains('\x1b'), "no colours in a pipe");
    for seen in ["(login)", "✗ 401 refresh_reused", "In revocations", "✗ A plain JWT", "✓ Refused at once"]
    {
        assert!(first.contains(seen), "{seen} is missing");
    }
    assert_eq!(std::fs::read_dir(home.path()).unwrap().count(), 0, "no file is made");
}

#[test]
fn one_flow_is_drawn_as_svg_and_as_mermaid_with_the_same_bytes_each_time() {
    let home = Home::sqlite();
    let svg = ["tour", "--flow", "login", "--scene", "browser", "--svg"];
    let drawn = home.run(&svg).ok();
    assert!(drawn.starts_with("<svg ") && drawn.trim_end().ends_with("</svg>"), "{drawn}");
    assert_eq!(drawn, home.run(&svg).ok());
    let one = home.run(&[&svg[..], &["--column", "session"]].concat()).ok();
    assert!(
        one.len() < drawn.len() && one.contains("sessionId") && !one.contains("Sign an access token"),
        "{one}"
    );
    let mermaid = ["tour", "--flow", "logout", "--mermaid"];
    let drawn = home.run(&mermaid).ok();
    assert_eq!(drawn.matches("```mermaid\nsequenceDiagram").count(), 4, "{drawn}");
    assert_eq!(drawn, home.run(&mermaid).ok());
}

#[test]
fn what_is_broken_is_drawn_with_its_first_difference() {
    let home = Home::sqlite();
    for (what, said) in [
        ("character", "The first difference: Signature is wrong"),
        ("wait", "The first difference: Expired"),
        ("twice", "The first difference: Used before"),
        ("phone", "The first difference: In revocations"),
    ] {
        let drawn = home.run(&["tour", "--flow", "protected", "--break", what]).ok();
        assert!(drawn.contains(said), "{what}: {drawn}");
    }
    let logout = ["tour", "--flow", "logout", "--break", "wait"];
    home.run(&logout).fails("nothing can be broken after logout", "login, protected");
}

#[test]
fn an_unknown_flow_or_scene_is_refused_with_the_list() {
    let home = Home::sqlite();
    home.run(&["tour", "--flow", "nope"]).fails("there is no flow \"nope\"", "register, login, protected");
    let scene = ["tour", "--flow", "logout", "--scene", "nope"];
    home.run(&scene).fails("logout has no scene \"nope\"", "logout, copy");
    let list = home.run(&["tour", "--list"]).ok();
    assert!(list.contains("stolen-refresh-token  A refresh token is stolen"), "{list}");
    assert_eq!(home.run(&["tour", "--svg"]).code, Some(2), "one SVG is one flow");
}

#[test]
fn a_terminal_gets_colours_unless_no_color_is_set() {
    let home = Home::sqlite();
    let on_a_terminal = |no_color: &str| {
        let program = format!("{} tour --flow forbidden-role", env!("CARGO_BIN_EXE_doorward"));
        let mut script = Command::new("script");
        script.args(["-qec", &program, "/dev/null"]).env_clear().env("NO_COLOR", no_color);
        script.env("PATH", std::env::var_os("PATH").unwrap_or_default()).current_dir(home.path());
        script.stdin(Stdio::null()).output().ok().map(|output| String::from_utf8(output.stdout).unwrap())
    };
    let (Some(coloured), Some(plain)) = (on_a_terminal(""), on_a_terminal("1")) else {
        let line = "SKIPPED: colours on a terminal. To run it too: install script of util-linux\n";
        return std::io::stderr().write_all(line.as_bytes()).unwrap();
    };
    assert!(coloured.contains("\x1b[") && coloured.contains("403 forbidden"), "{coloured}");
    assert!(!plain.contains('\x1b') && plain.contains("403 forbidden"), "{plain}");
}
