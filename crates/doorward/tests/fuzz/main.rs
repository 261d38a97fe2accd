//! Every parser of the product against bytes that nobody would send, as in doorward-core's test of this name.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod properties;
#[path = "../../../doorward-core/tests/fuzz/runner.rs"]
mod runner;

use runner::{fuzz, hostile_strings};

#[test]
fn settings_files() {
    let seeds = [
        "listen = \"127.0.0.1:0\"\n[access]\nttl = \"15m\"\n",
        "origins = [\"https://a.example\"]\n[roles]\neditor = [\"users:read\"]\n",
        "[http]\nbody_limit = 65536\nhead_timeout = \"10s\"\n",
        "modes = [\"bearer\", \"session\"]\ntrusted_proxies = \"10.0.0.0/8\"\nbase_path = \"/auth\"",
    ];
    fuzz(hostile_strings(&seeds), properties::settings_toml);
}

#[test]
fn return_paths() {
    let applications =
        ["https://app.example.com/a?b=c", "https://app.example.com:443@evil/", "https:\\\\app.example.com"];
    let paths = ["/dashboard?a=b#c", "//evil", "/\\evil", "/logout/"];
    fuzz(hostile_strings(&[&paths[..], &applications].concat()), properties::return_to);
}

#[test]
fn client_addresses() {
    let seeds =
        ["198.51.100.1", "1.1.1.1, 10.0.0.2:80", "::ffff:10.0.0.1", "[2001:db8::1]:80\n10.0.0.1", "unknown"];
    fuzz(hostile_strings(&seeds), properties::client_ip);
}

#[test]
fn credentials() {
    let seeds = [
        "Bearer abc\n",
        "\n__Host-token=abc; __Host-sessionId=def",
        "\n__Host-sessionId=abc; a=\"b;c\"",
        "Bearer a\n__Host-token=b\n__Host-token=c",
    ];
    fuzz(hostile_strings(&seeds), properties::credential);
}

#[test]
fn json_bodies() {
    let seeds = [
        r#"{"name":"Ada","email":"ada@example.org","password":"a door is a promise","mode":"cookie"}"#,
        r#"{"text":"\ud83d\ude00\u0000"}"#,
    ];
    fuzz(hostile_strings(&seeds), properties::json_body);
}

#[test]
fn form_bodies() {
    let seeds = [
        "name=Ada&email=ada%40example.org&password=a+door&mode=session",
        "text=%F0%9F%98%80%00",
        "text=%ff",
        "text=",
        "text",
    ];
    fuzz(hostile_strings(&seeds), properties::form_body);
}

#[test]
fn accept_headers() {
    let seeds = [
        "text/html,application/xhtml+xml;q=0.9,*/*;q=0.8",
        "application/json;q=0.5, text/html",
        "text/html;q=NaN",
    ];
    fuzz(hostile_strings(&seeds), properties::accept);
}

#[test]
fn queries() {
    fuzz(hostile_strings(&["text=a&limit=5", "text=%00%ff", "text=a&text=b"]), properties::query);
}
