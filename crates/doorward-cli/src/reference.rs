//! The reference pages, generated from the tables that the program itself uses, and compared with the files in `docs/`.

use std::fmt::Write;
use std::path::Path;

use clap::CommandFactory;
use doorward::internals::settings::{Settings, Values};
use doorward::internals::{Error, Explanation};

use crate::args::Cli;

const REGENERATE: &str = "UPDATE=1 cargo test -p doorward-cli reference";

#[test]
fn the_page_of_settings_is_the_table_of_settings() {
    check("settings.md", &settings());
}

#[test]
fn the_page_of_the_command_line_is_what_help_says() {
    check("cli.md", &command_line());
}

#[test]
fn the_page_of_the_api_is_its_document() {
    check("api.md", &api());
}

#[test]
fn the_page_of_errors_is_the_table_of_errors() {
    check("errors.md", &errors());
}

#[test]
fn the_page_of_the_audit_log_is_the_list_of_actions() {
    check("audit.md", &audit());
}

#[test]
fn the_codes_of_the_typescript_client_are_the_table_of_errors() {
    check_file("clients/typescript/src/codes.ts", &codes());
}

#[test]
fn every_argument_of_every_command_is_documented_and_consistent() {
    Cli::command().debug_assert();
    for command in all(Cli::command()) {
        assert!(command.get_about().is_some(), "{} says nothing", command.get_name());
        for argument in command.get_arguments() {
            assert!(argument.get_help().is_some(), "{} {}", command.get_name(), argument.get_id());
        }
    }
}

fn check(name: &str, made: &str) {
    check_file(&format!("docs/reference/{name}"), made);
}

fn check_file(name: &str, made: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(name);
    if std::env::var_os("UPDATE").is_some() {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, made).unwrap();
    }
    let written = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(written == made, "{name} is out of date. To write it again: {REGENERATE}");
}

fn settings() -> String {
    let mut page = format!("# Settings\n\n<!-- Made by: {REGENERATE} -->\n{SETTINGS_INTRODUCTION}");
    let mut section = "";
    for setting in Values::default().rows() {
        let (named, _) = setting.key.split_once('.').unwrap_or(("", setting.key));
        if named != section {
            section = named;
            write!(page, "\n## `[{section}]`\n\n{HEAD}").unwrap();
        }
        let default =
            if setting.default.is_empty() { String::new() } else { format!("`{}`", setting.default) };
        let (key, doc) = (setting.key, setting.doc.trim().replace('|', "\\|"));
        writeln!(page, "| `{key}` | {default} | {doc} |").unwrap();
    }
    page + SETTINGS_END
}

fn api() -> String {
    let document = doorward::internals::openapi(&Settings::read(&Values::default()).unwrap());
    let mut page = format!("# The API\n\n<!-- Made by: {REGENERATE} -->\n{API_INTRODUCTION}");
    for topic in document["tags"].as_array().unwrap() {
        write!(page, "\n## {}\n\n{API_HEAD}", topic["name"].as_str().unwrap()).unwrap();
        for (path, operations) in document["paths"].as_object().unwrap() {
            for (method, operation) in operations.as_object().unwrap() {
                if operation["tags"][0] == topic["name"] {
                    let (method, who) = (method.to_uppercase(), operation["x-who-may"].as_str().unwrap());
                    let what = operation["summary"].as_str().unwrap();
                    let answers: Vec<_> =
                        operation["responses"].as_object().unwrap().keys().map(String::as_str).collect();
                    let answers = answers.join(" ");
                    writeln!(page, "| `{method} {path}` | {who} | {what} | {answers} |").unwrap();
                }
            }
        }
    }
    page
}

const API_HEAD: &str = "| method, path | who may | what it does | answers |\n|---|---|---|---|\n";

const API_INTRODUCTION: &str = r#"
Every address, who may call it, and the statuses that it answers. A running server says more: fields, examples and codes
for people at `/docs`, for programs at `/openapi.json` (OpenAPI 3.1). What the codes mean is in [errors.md](errors.md).

`anybody` includes callers with a bad credential, `signed in` is every live session, and a permission such as `users:read`
stands for the roles that grant it.
"#;

fn errors() -> String {
    let mut page = format!("# Errors\n\n<!-- Made by: {REGENERATE} -->\n{ERRORS_INTRODUCTION}");
    for error in Error::every() {
        let (status, code, message) = (error.status(), error.code(), error.to_string());
        writeln!(page, "| {} | [`{code}`](#{code}) | {message} |", status.as_u16()).unwrap();
    }
    page += ERRORS_EXPLAINED;
    for error in Error::every() {
        let Explanation { checked, found, advice, .. } = error.explanation();
        write!(page, "\n### {}\n\n", error.code()).unwrap();
        writeln!(page, "- checked: {checked}\n- found: {found}\n- what to do: {advice}").unwrap();
    }
    page
}

fn codes() -> String {
    let mut module = format!(
        "// Made by: {REGENERATE}\n\n/** The stable `code` of each refusal. */\nexport type Code =\n"
    );
    for error in Error::every() {
        let (status, code, message) = (error.status(), error.code(), error.to_string());
        writeln!(module, "  /** {}: {message}. {} */\n  | '{code}'", status.as_u16(), error.advice())
            .unwrap();
    }
    module
}

fn audit() -> String {
    let mut page = format!("# The audit log\n\n<!-- Made by: {REGENERATE} -->\n{AUDIT_INTRODUCTION}");
    for action in doorward::internals::actions() {
        writeln!(page, "| `{}` | {} |", action.name, action.meaning.trim()).unwrap();
    }
    page
}

const AUDIT_INTRODUCTION: &str = r#"
What `GET /admin/audit` and `doorward audit` show as `action`. Entries are kept for `audit.retention`.

| action | what happened |
|---|---|
"#;

const ERRORS_INTRODUCTION: &str = r#"
A refusal is `application/problem+json` (RFC 9457) with `status`, `code`, `message`, `request_id` and, for wrong fields,
`fields`. Decide by `code`, which is stable; show `message`, which is for people. The `request_id` stands in the log too.

`/introspect` and `/revoke` refuse in OAuth's form (RFC 6749 section 5.2): `application/json` with `error`,
`error_description`, `code` and `request_id`. A wrong field is 400 there, since OAuth knows no finer status.

| status | code | message |
|---|---|---|
"#;

const ERRORS_EXPLAINED: &str = r#"
## Explanations

What was checked before each refusal, what was found, and what to do about it.
"#;

const HEAD: &str = "| setting | default | what it does |\n|---|---|---|\n";

const SETTINGS_INTRODUCTION: &str = r#"
A value comes from the first of these that has it:

1. a flag: `--set access.ttl=5m`, or one of its own, such as `--access-ttl 5m`
2. a variable: `DOORWARD_ACCESS_TTL=5m`, the key in capitals after `DOORWARD_`; `DOORWARD_ACCESS_TTL_FILE` names a file
   that holds the value
3. the file: `doorward.toml` in the working directory, or the one that `--config` or `DOORWARD_CONFIG` names

   ```toml
   public_url = "https://accounts.example.com"

   [access]
   ttl = "5m"
   ```
4. the default

Spans are written `90s`, `15m`, `12h`, `30d`; lists as `["a", "b"]` in the file and `a,b` elsewhere. An unknown setting is
refused. `doorward config print` shows every value and where it comes from, `doorward config check` says what is wrong.

## At the top of the file

| setting | default | what it does |
|---|---|---|
"#;

const SETTINGS_END: &str = r#"
## `[roles]`

Further roles, each with the permissions that it grants: Doorward's own (`users:read`, `users:write`, `sessions:read`,
`sessions:end`, `audit:read`, `clients:read`, `clients:write`, `flow:read`) and your application's. `user` has none of
Doorward's own, `admin` has every one.

```toml
[roles]
support = ["users:read", "sessions:read", "sessions:end"]
```

## Secrets

Secrets come from variables or files, never from `doorward.toml` or a flag.

| variable | what it is |
|---|---|
| `DOORWARD_SECRET`, `DOORWARD_SECRET_FILE` | The root secret: 32 bytes or more. Keys for what is stored encrypted, for refresh tokens and links are derived from it. Not given, it is `secret.key` in the data folder, made at the first start. PostgreSQL needs it given. |
| `DOORWARD_SECRET_OTHER`, `DOORWARD_SECRET_OTHER_FILE` | A second root secret, while that is being changed by `doorward secret rotate`. What was made under either is valid. |
| `JWT_SECRET`, `JWT_SECRET_FILE` | Signs access tokens (HS256) in place of the key pair: 32 bytes or more. Who has it can make tokens. |
| `DOORWARD_FEED_SECRET`, `DOORWARD_FEED_SECRET_FILE` | Opens `GET /revocations`, beside registered clients: 32 bytes or more. Who has it learns which sessions end, and nothing else. |
| `DOORWARD_OTEL_HEADERS`, `DOORWARD_OTEL_HEADERS_FILE` | Headers for `otel.endpoint`, such as the token of the collector: `name=value` with commas between, and `%XX` in a value. |

`openssl rand -base64 32` makes the first four. A secret that is short, uniform, well known or the same as another is refused. So is a
file that others can read; one of root's may be read by a group. Below `/run/secrets`, and on a mount that can't be
written, that is a warning.
"#;

fn command_line() -> String {
    let mut page =
        format!("# The command line\n\n<!-- Made by: {REGENERATE} -->\n{COMMAND_LINE_INTRODUCTION}");
    for mut command in all(Cli::command()) {
        let name = command.get_bin_name().unwrap_or("doorward").to_owned();
        let help = command.render_long_help().to_string();
        let help: Vec<&str> = help.lines().map(str::trim_end).collect();
        write!(page, "\n## `{name}`\n\n```text\n{}\n```\n", help.join("\n").trim_end()).unwrap();
    }
    page
}

const COMMAND_LINE_INTRODUCTION: &str = r#"
The command line works on the same database as the server, beside it or without it; a running server follows within a
second. Give it the same `--data` or `--database`, `--config`, variables and secrets as the server.

Results go to standard output, `error:` and `hint:` to standard error. The exit code is 0 where all is well, 1 where it is
not, and 2 where the arguments make no sense. Passwords are asked for at a terminal, or read from standard input.
"#;

/// The command and all its subcommands, each with its full name, without the help commands.
fn all(root: clap::Command) -> Vec<clap::Command> {
    let mut root = root.disable_help_subcommand(true).term_width(100);
    root.build();
    let mut found = Vec::new();
    collect(&root, &mut found);
    found
}

fn collect(command: &clap::Command, found: &mut Vec<clap::Command>) {
    // Arguments that every command has are shown once, at the first.
    let hide = |argument: clap::Arg| {
        let everywhere = argument.is_global_set();
        argument.hide(everywhere)
    };
    found.push(if found.is_empty() { command.clone() } else { command.clone().mut_args(hide) });
    command.get_subcommands().for_each(|one| collect(one, found));
}
