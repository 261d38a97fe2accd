use super::*;

fn read(toml: &str, environment: &[(&str, &str)]) -> Result<Settings, SettingsError> {
    let mut values = Values::default();
    values.file("doorward.toml".as_ref(), toml)?;
    values.environment(environment.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())))?;
    Settings::read(&values)
}

#[test]
fn the_defaults_are_valid_and_those_of_the_contract() {
    let settings = read("", &[]).unwrap();
    assert_eq!(settings.listen.to_string(), "127.0.0.1:8080");
    assert_eq!(
        (settings.access_ttl, settings.refresh_ttl.as_secs()),
        (Duration::from_secs(900), 30 * 86_400)
    );
    assert_eq!(settings.modes, Mode::ALL);
    assert_eq!(
        (settings.issuer().as_str(), settings.base_url(settings.listen).as_str()),
        ("doorward", "http://127.0.0.1:8080")
    );
}

#[test]
fn a_variable_goes_before_the_file_and_the_file_before_the_default() {
    let file = "[access]\nttl = \"5m\"\n[refresh]\nttl = \"1d\"\n";
    let settings = read(file, &[("DOORWARD_ACCESS_TTL", "2m"), ("PATH", "/bin")]).unwrap();
    assert_eq!((settings.access_ttl.as_secs(), settings.refresh_ttl.as_secs()), (120, 86_400));
}

#[test]
fn an_unknown_key_is_refused_with_the_nearest_known_one() {
    let error = read("[acces]\nttl = \"5m\"\n", &[]).unwrap_err();
    assert!(error.problem.contains("acces.ttl") && error.hint.contains("access.ttl"), "{error:?}");
    let error = read("", &[("DOORWARD_REFRSH_TTL", "5m")]).unwrap_err();
    assert!(error.problem.contains("DOORWARD_REFRSH_TTL") && error.hint.contains("refresh.ttl"), "{error:?}");
    for key in ["jwt_secret", "JWT_SECRET"] {
        let error = read(&format!("{key} = \"x\"\n"), &[]).unwrap_err();
        assert!(error.hint.contains("secrets come from the variables"), "{error:?}");
    }
    // A text that is like no known one gets no suggestion.
    let error = read("foo = 1\n", &[]).unwrap_err();
    assert!(error.problem.contains("foo") && !error.hint.contains("did you mean"), "{error:?}");
}

#[test]
fn what_is_unsafe_is_refused_with_the_fix() {
    for (toml, problem) in [
        ("listen = \"0.0.0.0:80\"", "listen is beyond loopback"),
        ("listen = \"0.0.0.0:80\"\npublic_url = \"http://a.example\"", "plain http"),
        ("listen = \"0.0.0.0:80\"\npublic_url = \"https://a.example\"\ndev = true", "dev is for a loopback"),
        (
            "listen = \"0.0.0.0:80\"\npublic_url = \"https://a.example\"\n[throttle]\nenabled = false",
            "throttle.enabled",
        ),
        ("public_url = \"https://a.example\"\ndev = true", "dev is for a loopback"),
        ("listen = \"0.0.0.0:80\"\ndev = true", "dev is for a loopback"),
        ("listen = \"[::]:80\"\ndev = true", "dev is for a loopback"),
        ("listen = \"[::ffff:127.0.0.1]:80\"\ndev = true", "dev is for a loopback"),
        ("listen = \"192.168.1.7:80\"\ndev = true", "dev is for a loopback"),
        ("listen = \"0.0.0.0:80\"\npublic_url = \"http://localhost\"\ndev = true", "dev is for a loopback"),
        ("public_url = \"http://localhost.a.example\"\ndev = true", "dev is for a loopback"),
        ("public_url = \"http://0.0.0.0\"\ndev = true", "dev is for a loopback"),
        ("public_url = \"http://192.168.1.7\"\ndev = true", "dev is for a loopback"),
        ("trusted_proxies = [\"127.0.0.1/32\"]\ndev = true", "dev is for a server without a proxy"),
        ("public_url = \"https://localhost\"\ndev = true", "dev is for plain http"),
        ("dev = true\n[tls]\ncert = \"a\"\nkey = \"b\"", "dev is for plain http"),
        ("dev = true\n[metrics]\nlisten = \"0.0.0.0:9100\"\npublic = true", "dev is for a loopback"),
        ("public_url = \"http://a.example\"\ndev = true", "dev is for a loopback"),
        ("public_url = \"https://a.example\"\n[throttle]\nenabled = false", "throttle.enabled"),
        ("listen = \"0.0.0.0:80\"\npublic_url = \"http://localhost\"", "plain http"),
        ("public_url = \"https://a.example\"\n[http]\nplain = true", "http.plain is on"),
        ("[http]\nplain = true\n[tls]\ncert = \"a\"\nkey = \"b\"", "http.plain is on"),
        ("public_url = \"https://a.example/path\"", "public_url must be"),
        ("public_url = \"ftp://a.example\"", "public_url must be"),
        ("origins = [\"*\"]", "wildcard"),
        ("origins = [\"https://*.a.example\"]", "wildcard"),
        ("origins = [\"https://a.example/\"]", "not an origin"),
        ("origins = [\"https://a.example:443\"]", "not an origin"),
        ("origins = [\"null\"]", "sandboxed frames"),
        ("origins = [\"Null\"]", "not an origin"),
        ("origins = [\"file://\"]", "not an origin"),
        ("origins = [\"file://host\"]", "not an origin"),
        ("origins = [\"data:text/html,x\"]", "not an origin"),
        ("origins = [\"blob:https://a.example\"]", "not an origin"),
        ("origins = [\"capacitor:localhost\"]", "not an origin"),
        ("origins = [\"capacitor://\"]", "not an origin"),
        ("origins = [\"capacitor://localhost/\"]", "not an origin"),
        ("origins = [\"Capacitor://localhost\"]", "not an origin"),
        ("origins = [\"capacitor://localhost?x\"]", "not an origin"),
        ("origins = [\"capacitor://a b\"]", "not an origin"),
        ("origins = [\"capacitor://a@b\"]", "not an origin"),
        ("origins = [\"app.example.com\"]", "not an origin"),
    ] {
        let error = read(toml, &[]).unwrap_err();
        assert!(error.problem.contains(problem), "{toml}: {error:?}");
    }
}

#[test]
fn what_makes_no_sense_is_refused_by_its_name() {
    for (toml, problem) in [
        ("base_path = \"auth\"", "base_path"),
        ("[access]\nttl = \"0s\"", "access.ttl"),
        ("[access]\nttl = \"soon\"", "not a duration"),
        ("[access]\nalgorithm = \"HS256\"", "access.algorithm"),
        ("[access]\nalgorithm = \"none\"", "access.algorithm"),
        ("[password]\nbcrypt_cost = 4", "password.bcrypt_cost"),
        ("[cookie]\ntoken = \"a;b\"", "cookie"),
        ("[cookie]\ntoken = \"sessionId\"", "cookie"),
        ("modes = []", "modes"),
        ("[roles]\nSupport = []", "roles.Support"),
        ("[roles]\nsupport = [\"*\"]", "roles.support"),
        ("[http]\nhsts = \"includeSubDomains\"", "http.hsts"),
        ("[http]\nhsts = \"max-age=year\"", "http.hsts"),
        ("[http]\nhsts = \"max-age=60; preload\"", "http.hsts"),
        ("[http]\nhsts = \"max-age=60\\r\\nx: y\"", "http.hsts"),
        ("listen = [", "not valid TOML"),
        ("listen = 1.5", "cannot be a float"),
    ] {
        let error = read(toml, &[]).unwrap_err();
        assert!(error.problem.contains(problem), "{toml}: {error:?}");
    }
}

#[test]
fn an_application_that_gets_no_cookie_of_ours_is_refused_with_the_reason() {
    let with = |domain: &str, hosts: &str, more: &str| {
        let toml = format!(
            "public_url = \"https://accounts.example.com\"\n{more}\n[cookie]\ndomain = \"{domain}\"\n\
             [forward_auth]\nhosts = [{hosts}]"
        );
        read(&toml, &[])
    };
    with("example.com", "\"app.example.com\", \"accounts.example.com\", \"a.b.example.com:8443\"", "")
        .unwrap();
    with("", "\"accounts.example.com\"", "").unwrap();
    for (domain, hosts, more, problem) in [
        ("", "\"app.example.com\"", "", "don't send it Doorward's cookie"),
        ("example.com", "\"app.example.org\"", "", "don't send it Doorward's cookie"),
        ("example.com", "\"notexample.com\"", "", "don't send it Doorward's cookie"),
        ("example.com", "\"App.example.com\"", "", "is not a host"),
        ("example.com", "\"https://app.example.com\"", "", "is not a host"),
        ("example.com", "\"app.example.com:443\"", "", "is not a host"),
        ("example.com", "\"a@app.example.com\"", "", "is not a host"),
        ("example.com", "\"*.example.com\"", "", "is not a host"),
        ("example.org", "", "", "is not the domain of public_url"),
        (".example.com", "", "", "no domain"),
        ("com", "", "", "no domain"),
        ("127.0.0.1", "", "", "no domain"),
        ("example.com", "", "mode_form = \"cookie\"", "session mode"),
        ("example.com", "", "modes = [\"bearer\", \"cookie\"]", "session mode"),
    ] {
        let error = with(domain, hosts, more).unwrap_err();
        assert!(error.problem.contains(problem) && !error.hint.is_empty(), "{domain} {hosts}: {error:?}");
    }
    let plain =
        "public_url = \"http://a.example.com\"\n[http]\nplain = true\n[cookie]\ndomain = \"example.com\"";
    assert!(read(plain, &[]).unwrap_err().problem.contains("needs https"));
}

#[test]
fn applications_are_listed_with_or_without_a_name_and_only_of_the_same_site() {
    let with = |url: &str, more: &str| read(&format!("public_url = \"{url}\"\n{more}"), &[]);
    let shop = "[apps.shop]\norigin = \"https://shop.example.com\"\nname = \"The Shop\"\n[apps.wiki]\n\
                origin = \"https://wiki.example.com:8443\"";
    let settings = with("https://accounts.example.com", shop).unwrap();
    let apps: Vec<_> = settings.apps.iter().map(|app| (app.name.as_str(), app.host())).collect();
    assert_eq!(apps, [("The Shop", "shop.example.com"), ("", "wiki.example.com:8443")]);
    let variables = [
        ("DOORWARD_PUBLIC_URL", "https://example.co.uk"),
        ("DOORWARD_APPS", "https://a.example.co.uk,https://b.example.co.uk"),
        ("DOORWARD_APPS_SHOP_ORIGIN", "https://example.co.uk"),
        ("DOORWARD_APPS_SHOP_NAME", "Shop"),
    ];
    assert_eq!(read("", &variables).unwrap().apps.len(), 3);
    read("dev = true\napps = [\"http://127.0.0.1:5173\"]", &[]).unwrap();
    with("http://localhost:8080", "apps = [\"http://localhost:5173\"]").unwrap();
    for (url, more, problem) in [
        ("https://accounts.example.com", "apps = [\"https://shop.example.org\"]", "another site"),
        ("https://accounts.example.com", "apps = [\"http://shop.example.com\"]", "another site"),
        ("https://accounts.example.co.uk", "apps = [\"https://evil.co.uk\"]", "another site"),
        ("https://accounts.vercel.app", "apps = [\"https://shop.vercel.app\"]", "another site"),
        ("https://ada.github.io", "apps = [\"https://eve.github.io\"]", "another site"),
        ("https://10.0.0.1", "apps = [\"https://10.0.0.2\"]", "another site"),
        ("http://localhost:8080", "apps = [\"http://127.0.0.1:5173\"]", "another site"),
        ("https://accounts.example.com", "apps = [\"https://shop.example.com/\"]", "not an origin"),
        ("https://accounts.example.com", "apps = [\"https://*.example.com\"]", "wildcard"),
        ("https://accounts.example.com", "apps = [\"https://a@shop.example.com\"]", "not an origin"),
        ("https://accounts.example.com", "[apps.shop]\nname = \"Shop\"", "no origin"),
        ("https://accounts.example.com", "[apps.shop]\nlogo = \"x\"", "no setting"),
        ("https://example.com", "[apps.a]\norigin = \"https://a.example.com\"\nname = \"a\\nb\"", "no name"),
        ("https://example.com", "[apps.a]\norigin = \"https://a.example.com\"\nname = \"\"", "no name"),
        ("https://example.com", "apps = [\"https://a.example.com\", \"https://a.example.com\"]", "twice"),
        (
            "https://example.com",
            "[session]\ntokens = true\n[cookie]\ndomain = \"example.com\"",
            "session.tokens",
        ),
    ] {
        let error = with(url, more).unwrap_err();
        assert!(error.problem.contains(problem) && !error.hint.is_empty(), "{url} {more}: {error:?}");
    }
}

#[test]
fn roles_of_the_settings_have_their_permissions() {
    let settings = read("[roles]\nsupport = [\"users:read\", \"posts:write\"]\n", &[]).unwrap();
    let support = "support".parse().unwrap();
    assert!(settings.roles.grants(support, "users:read") && !settings.roles.grants(support, "users:write"));
}

#[test]
fn a_printed_database_url_hides_its_password() {
    let mut values = Values::default();
    values.set("database", "postgres://ada:hunter2@db/app", Origin::Flag("--database".into())).unwrap();
    let printed: String = values.shown().map(|(_, text, _)| text).collect();
    assert!(printed.contains("postgres://ada") && !printed.contains("hunter2"));
    let settings = Settings::read(&values).unwrap();
    assert!(settings.database.is_some() && !format!("{settings:?}").contains("hunter2"));
}

#[test]
fn a_database_url_with_several_hosts_is_read_and_shown_without_its_password() {
    let mut values = Values::default();
    let url = "postgres://ada:hunter2@one:5432,two:5432/app?target_session_attrs=read-write";
    values.set("database", url, Origin::Code).unwrap();
    let printed: String = values.shown().map(|(_, text, _)| text).collect();
    assert!(printed.contains("postgres://hidden") && !printed.contains("hunter2"), "{printed}");
    Settings::read(&values).unwrap();
}

#[test]
fn a_parameter_that_a_database_url_cannot_have_is_named() {
    let error = read("database = \"postgres://a:hunter2@db/app?sslcert=hunter2\"", &[]).unwrap_err();
    assert!(
        error.problem.contains("no parameter sslcert") && !format!("{error:?}").contains("hunter2"),
        "{error:?}"
    );
}

#[test]
fn a_refused_database_url_is_not_repeated() {
    let error = read("database = \"hunter2 not a url\"", &[]).unwrap_err();
    assert!(!format!("{error:?}").contains("hunter2"), "{error:?}");
}

#[test]
fn a_collector_is_on_this_machine_or_behind_tls_unless_the_settings_say_that_it_need_not() {
    for toml in [
        "endpoint = \"http://127.0.0.1:4318\"",
        "endpoint = \"http://localhost:4318/\"",
        "endpoint = \"http://[::1]:4318\"",
        "endpoint = \"https://collector.example/otlp/\"",
        "endpoint = \"http://collector.example:4318\"\nplain = true",
        "endpoint = \"https://collector.example\"\nsample = \"0.01%\"\npersonal = true",
    ] {
        let settings = read(&format!("[otel]\n{toml}"), &[]).unwrap();
        assert!(settings.otel_endpoint.is_some(), "{toml}");
    }
    for (toml, problem) in [
        ("endpoint = \"collector:4318\"", "must be the start of a URL"),
        ("endpoint = \"grpc://127.0.0.1:4317\"", "must be the start of a URL"),
        ("endpoint = \"http://127.0.0.1:4318/?a=b\"", "must be the start of a URL"),
        ("endpoint = \"http://127.0.0.1:4318/#a\"", "must be the start of a URL"),
        ("endpoint = \"127.0.0.1\"", "is not a URL"),
        ("endpoint = \"https://a:b@collector.example\"", "has a name or password"),
        ("endpoint = \"http://collector.example:4318\"", "is plain http"),
        ("endpoint = \"http://127.0.0.1.example:4318\"", "is plain http"),
        ("endpoint = \"https://collector.example\"\nservice_name = \"\"", "otel.service_name is empty"),
        ("sample = \"0%\"", "is no share"),
        ("sample = \"101%\"", "is no share"),
        ("sample = \"NaN%\"", "is no share"),
        ("sample = \"0.5\"", "is no share"),
        ("headers = \"authorization=x\"", "no setting \"otel.headers\""),
    ] {
        let error = read(&format!("[otel]\n{toml}"), &[]).unwrap_err();
        assert!(error.problem.contains(problem), "{toml}: {error:?}");
    }
    let error = read("[otel]\nheaders = \"authorization=x\"", &[]).unwrap_err();
    assert!(error.hint.contains("DOORWARD_OTEL_HEADERS"), "{error:?}");
}
