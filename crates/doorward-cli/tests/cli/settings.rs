use crate::support::Home;

#[test]
fn what_does_not_exist_is_refused_with_the_nearest_that_does() {
    let home = Home::sqlite();
    home.run(&["serve", "--set", "acess.ttl=5m"]).fails("there is no setting \"acess.ttl\"", "access.ttl");
    home.run(&["serve", "--set", "access.ttl"]).fails("there is no value", "--set access.ttl=5m");
    let run = home.run(&["serve", "--acess-ttl", "5m"]);
    assert_eq!((run.code, run.out.as_str()), (Some(2), ""));
    assert!(run.err.starts_with("error: ") && run.err.contains("--access-ttl"), "{run:?}");
    let run = home.run(&["sreve"]);
    assert!(run.code == Some(2) && run.err.contains("'serve'"), "{run:?}");

    std::fs::write(home.path().join("doorward.toml"), "acess.ttl = \"5m\"\n").unwrap();
    home.run(&["serve"]).fails("doorward.toml: there is no setting \"acess.ttl\"", "access.ttl");
    let home = Home::sqlite().with("DOORWARD_REFRSH_TTL", "1d");
    home.run(&["serve"]).fails("DOORWARD_REFRSH_TTL", "refresh.ttl");
    assert!(!home.data().exists());
}

#[test]
fn what_is_unsafe_is_refused_with_the_fix() {
    let home = Home::sqlite();
    let public = "--public-url=https://a.example";
    for (arguments, problem, hint) in [
        (&["--listen", "0.0.0.0:0"][..], "listen is beyond loopback", "public_url"),
        (&["--listen", "0.0.0.0:0", "--public-url", "http://a.example"], "plain http", "https://"),
        (&["--listen", "0.0.0.0:0", public, "--dev"], "dev is for a loopback address only", "--dev"),
        (&["--listen", "0.0.0.0:0", "--dev"], "dev is for a loopback address only", "--dev"),
        (&["--listen", "[::]:0", "--dev"], "dev is for a loopback address only", "127.0.0.1"),
        (&[public, "--dev"], "dev is for a loopback address only", "--dev"),
        (&["--dev", "--set", "trusted_proxies=127.0.0.1/32"], "without a proxy", "trusted_proxies"),
        (&["--dev", "--tls-cert", "a", "--tls-key", "b"], "dev is for plain http", "tls.cert"),
        (&["--dev", "--public-url", "https://localhost"], "dev is for plain http", "https://"),
        (&["--listen", "0.0.0.0:0", public, "--no-throttle"], "throttle.enabled cannot be off", "load tests"),
        (&["--set", "origins=*"], "origins has a wildcard", "exactly"),
        (&["--set", "origins=https://a.example/"], "is not an origin", "https://a.example"),
        (&["--access-ttl", "0s"], "access.ttl is shorter than one second", "15m"),
        (&["--access-ttl", "soon"], "access.ttl (--access-ttl): \"soon\"", "15m"),
        (&["--set", "password.bcrypt_cost=4"], "must be 10 to 16", "10"),
        (&["--set", "access.algorithm=none"], "must be ES256, EdDSA or RS256", "ES256"),
        (&["--set", "access.algorithm=HS256"], "HS256 needs a shared secret", "JWT_SECRET"),
        (&["--base-path", "auth"], "base_path must begin with /", "/auth"),
        (&["--log-level", "loud"], "must be one of: error warn info debug trace", "info"),
    ] {
        home.run(&[&["serve"], arguments].concat()).fails(problem, hint);
    }
    assert!(!home.data().exists());
}

#[test]
fn a_flag_goes_before_a_variable_a_variable_before_the_file() {
    let home = Home::sqlite().with("DOORWARD_REFRESH_TTL", "2d").with("DOORWARD_ACCESS_TTL", "2m");
    let file = "[access]\nttl = \"1m\"\n[refresh]\nttl = \"1d\"\n[session]\nidle_ttl = \"1d\"\n";
    std::fs::write(home.path().join("doorward.toml"), file).unwrap();
    let printed = home.run(&["config", "print", "--json", "--set", "access.ttl=3m"]).json();
    let shown = |key: &str| {
        let all = printed.as_array().unwrap();
        let row = all.iter().find(|row| row["setting"] == key).unwrap();
        format!("{} {}", row["value"].as_str().unwrap(), row["origin"].as_str().unwrap())
    };
    assert_eq!(shown("access.ttl"), "3m --set");
    assert_eq!(shown("refresh.ttl"), "2d DOORWARD_REFRESH_TTL");
    assert_eq!(shown("session.idle_ttl"), "1d doorward.toml");
    assert_eq!(shown("session.absolute_ttl"), "90d default");
    assert_eq!(shown("data"), "data --data");
}

#[test]
fn a_named_file_must_be_there_and_an_unnamed_one_need_not() {
    let home = Home::sqlite();
    assert_eq!(home.run(&["config", "check"]).ok(), "The settings are good\n");
    home.run(&["config", "check", "--config", "mine.toml"])
        .fails("cannot read the settings in mine.toml", "--config");
    std::fs::write(home.path().join("mine.toml"), "listen = 8080 8081").unwrap();
    let run = home.run(&["config", "check", "--config", "mine.toml"]);
    assert!(run.code == Some(1) && run.err.starts_with("error: mine.toml is not valid TOML"), "{run:?}");
    let home = home.with("DOORWARD_CONFIG", "gone.toml");
    home.run(&["config", "check"]).fails("cannot read the settings in gone.toml", "--config");
}

#[test]
fn a_variable_that_is_no_text_is_a_clear_error() {
    use std::os::unix::ffi::OsStrExt;
    let home = Home::sqlite();
    let bad = std::ffi::OsStr::from_bytes(b"\xff");
    let output = home.command(&["config", "check"]).env("DOORWARD_LISTEN", bad).output().unwrap();
    assert_eq!(String::from_utf8(output.stderr).unwrap(), "error: DOORWARD_LISTEN is not valid UTF-8\n");
    let output = home.command(&["config", "check"]).env("SOMETHING_ELSE", bad).output().unwrap();
    assert!(output.status.success());
}

#[test]
fn the_password_of_a_database_url_is_not_printed() {
    let home = Home::sqlite()
        .with("DOORWARD_DATABASE", "postgres://doorward:hunter2@db.example/doorward")
        .with("DOORWARD_SECRET", "a root secret for tests: 0123456789");
    let text = home.run(&["config", "print"]).ok();
    assert!(
        text.contains("postgres://doorward:") && text.contains("@db.example") && !text.contains("hunter2"),
        "{text}"
    );
    let home = Home::sqlite().with("DOORWARD_DATABASE", "not-a-url:hunter2 @");
    let run = home.run(&["serve"]);
    assert!(run.code == Some(1) && !run.err.contains("hunter2"), "{run:?}");
}

#[test]
fn the_variables_of_a_kubernetes_service_named_doorward_are_no_settings() {
    let links = [
        ("DOORWARD_SERVICE_HOST", "10.96.0.7"),
        ("DOORWARD_SERVICE_PORT", "80"),
        ("DOORWARD_SERVICE_PORT_HTTP_PUBLIC", "80"),
        ("DOORWARD_PORT", "tcp://10.96.0.7:80"),
        ("DOORWARD_PORT_80_TCP", "tcp://10.96.0.7:80"),
        ("DOORWARD_PORT_80_TCP_PROTO", "tcp"),
        ("DOORWARD_PORT_80_TCP_PORT", "80"),
        ("DOORWARD_PORT_80_TCP_ADDR", "10.96.0.7"),
        ("DOORWARD_PORT_53_UDP", "udp://[fd00::7]:53"),
        ("DOORWARD_METRICS_2_SERVICE_HOST", "fd00::7"),
        ("DOORWARD_METRICS_2_PORT_9464_TCP_ADDR", "fd00::7"),
        ("DOORWARD_ROLES_PORT", "tcp://10.96.0.8:1"),
        ("DOORWARD_ROLES_SERVICE_HOST", "10.96.0.8"),
    ];
    let home = links.iter().fold(Home::sqlite(), |home, (name, value)| home.with(name, value));
    let server = home.serve(&["--log-level", "debug"]);
    server.logged("DOORWARD_METRICS_2_PORT_9464_TCP_ADDR");
    assert_eq!(server.get("/healthz", "").status, 200);
    drop(server);
    assert!(!home.run(&["config", "print"]).ok().contains("10.96"));
    assert!(!home.serve(&[]).stop().contains("DOORWARD_PORT"));

    // Whatever doesn't have exactly that form is still a mistake.
    for (name, value) in [
        ("DOORWARD_PORT", "8080"),
        ("DOORWARD_PORT", "tcp://10.96.0.7"),
        ("DOORWARD_PORT", "http://10.96.0.7:80"),
        ("DOORWARD_SERVICE_HOST", "doorward.example.com"),
        ("DOORWARD_SERVICE_PORT", "+80"),
        ("DOORWARD_SERVICE_PORT", ""),
        ("DOORWARD_PORT_80_TCP_NAME", "tcp"),
        ("DOORWARD_PORT_HTTP_TCP", "tcp://10.96.0.7:80"),
        ("DOORWARD_PORT_80_ICMP", "tcp://10.96.0.7:80"),
        ("DOORWARD_HOST", "10.96.0.7"),
    ] {
        let run = Home::sqlite().with(name, value).run(&["config", "check"]);
        assert!(run.code == Some(1) && run.err.contains(name), "{name}={value}: {run:?}");
    }
    // A setting with such a value is still a setting.
    Home::sqlite()
        .with("DOORWARD_METRICS_LISTEN", "tcp://10.96.0.7:80")
        .run(&["config", "check"])
        .fails("metrics.listen (DOORWARD_METRICS_LISTEN)", "");
}
