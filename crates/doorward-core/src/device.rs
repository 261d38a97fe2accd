//! A short name for a user agent, such as "Firefox on Linux".

/// Marks of browsers, the specific before the general: Edge and Opera also say Chrome, and Chrome also says Safari.
const BROWSERS: &[(&str, &str)] = &[
    ("Edg/", "Edge"),
    ("EdgA/", "Edge"),
    ("EdgiOS/", "Edge"),
    ("Edge/", "Edge"),
    ("OPR/", "Opera"),
    ("OPiOS/", "Opera"),
    ("OPT/", "Opera"),
    ("SamsungBrowser/", "Samsung Internet"),
    ("Vivaldi/", "Vivaldi"),
    ("YaBrowser/", "Yandex Browser"),
    ("DuckDuckGo/", "DuckDuckGo"),
    ("Ddg/", "DuckDuckGo"),
    ("Firefox/", "Firefox"),
    ("FxiOS/", "Firefox"),
    ("CriOS/", "Chrome"),
    ("HeadlessChrome/", "Chrome"),
    ("Chromium/", "Chromium"),
    ("Chrome/", "Chrome"),
    ("Safari/", "Safari"),
];

/// Marks of systems: Android and ChromeOS also say Linux or X11, and an iPhone says Mac OS X.
const SYSTEMS: &[(&str, &str)] = &[
    ("iPhone", "iPhone"),
    ("iPad", "iPad"),
    ("Android", "Android"),
    ("Windows", "Windows"),
    ("Macintosh", "macOS"),
    ("CrOS", "ChromeOS"),
    ("Linux", "Linux"),
    ("FreeBSD", "FreeBSD"),
    ("OpenBSD", "OpenBSD"),
];

/// What the user agents of programs other than browsers begin with.
const PROGRAMS: &[(&str, &str)] = &[
    ("curl/", "curl"),
    ("Wget/", "Wget"),
    ("HTTPie/", "HTTPie"),
    ("PostmanRuntime/", "Postman"),
    ("insomnia/", "Insomnia"),
    ("python-requests/", "Python program"),
    ("python-httpx/", "Python program"),
    ("Python-urllib/", "Python program"),
    ("Python/", "Python program"),
    ("Go-http-client/", "Go program"),
    ("Java-http-client/", "Java program"),
    ("Java/", "Java program"),
    ("Apache-HttpClient/", "Java program"),
    ("okhttp/", "Android or Java program"),
    ("Dart/", "Dart program"),
    ("node", "Node.js program"),
    ("undici", "Node.js program"),
    ("axios/", "Node.js program"),
    ("Deno/", "Deno program"),
    ("Bun/", "Bun program"),
    ("Ruby", "Ruby program"),
    ("reqwest/", "Rust program"),
];

/// The name of a device from its own `User-Agent`, which is a hint and not a proof. The result is one of a few fixed
/// texts, whatever the header says.
///
/// ```
/// use doorward_core::device::device;
///
/// let said = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0";
/// assert_eq!(device(Some(said)), "Firefox on Linux");
/// assert_eq!(device(None), "Unknown device");
/// ```
pub fn device(user_agent: Option<&str>) -> String {
    let said = user_agent.unwrap_or_default();
    if let Some((_, program)) = PROGRAMS.iter().find(|(mark, _)| said.starts_with(mark)) {
        return (*program).to_owned();
    }
    let named = |table: &[(&str, &'static str)]| {
        table.iter().find(|(mark, _)| said.contains(mark)).map(|(_, name)| *name)
    };
    match (named(BROWSERS), named(SYSTEMS)) {
        (Some(browser), Some(system)) => format!("{browser} on {system}"),
        (Some(browser), None) => browser.to_owned(),
        (None, Some(system)) => format!("Unknown program on {system}"),
        (None, None) => "Unknown device".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn devices_have_names_in_peoples_words() {
        let webkit = "AppleWebKit/537.36 (KHTML, like Gecko)";
        let chrome = format!("{webkit} Chrome/139.0.0.0 Safari/537.36");
        let windows = "Mozilla/5.0 (Windows NT 10.0; Win64; x64)";
        let mac = "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7)";
        let iphone =
            "Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko)";
        let android = format!("Mozilla/5.0 (Linux; Android 10; K) {webkit}");
        for (said, name) in [
            (format!("{windows} {chrome}"), "Chrome on Windows"),
            (format!("{windows} {chrome} Edg/139.0.0.0"), "Edge on Windows"),
            (format!("{windows} {chrome} OPR/121.0.0.0"), "Opera on Windows"),
            (format!("{windows} {chrome} Vivaldi/7.5"), "Vivaldi on Windows"),
            (format!("{mac} {chrome}"), "Chrome on macOS"),
            (
                format!("{mac} AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.5 Safari/605.1.15"),
                "Safari on macOS",
            ),
            (
                "Mozilla/5.0 (Macintosh; Intel Mac OS X 10.15; rv:140.0) Gecko/20100101 Firefox/140.0".into(),
                "Firefox on macOS",
            ),
            (
                "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0".into(),
                "Firefox on Linux",
            ),
            (format!("Mozilla/5.0 (X11; CrOS x86_64 14541.0.0) {chrome}"), "Chrome on ChromeOS"),
            (format!("{iphone} Version/18.5 Mobile/15E148 Safari/604.1"), "Safari on iPhone"),
            (format!("{iphone} CriOS/139.0 Mobile/15E148 Safari/604.1"), "Chrome on iPhone"),
            (format!("{iphone} FxiOS/140.0 Mobile/15E148 Safari/605.1.15"), "Firefox on iPhone"),
            (format!("{iphone} EdgiOS/139.0 Version/18.0 Mobile/15E148 Safari/604.1"), "Edge on iPhone"),
            (iphone.replace("iPhone", "iPad") + " Version/16.6 Mobile/15E148 Safari/604.1", "Safari on iPad"),
            (format!("{android} Chrome/139.0.0.0 Mobile Safari/537.36"), "Chrome on Android"),
            (format!("{android} Chrome/139.0.0.0 Mobile Safari/537.36 EdgA/139.0"), "Edge on Android"),
            (
                format!("{android} SamsungBrowser/28.0 Chrome/130.0.0.0 Mobile Safari/537.36"),
                "Samsung Internet on Android",
            ),
            (
                "Mozilla/5.0 (Android 15; Mobile; rv:140.0) Gecko/140.0 Firefox/140.0".into(),
                "Firefox on Android",
            ),
            ("curl/8.14.1".into(), "curl"),
            ("python-requests/2.32".into(), "Python program"),
            ("okhttp/5.1.0".into(), "Android or Java program"),
            ("MyApp/1.0 (Linux)".into(), "Unknown program on Linux"),
            ("Hedgehog".into(), "Unknown device"),
            ("<script>alert(1)</script>".into(), "Unknown device"),
            (String::new(), "Unknown device"),
        ] {
            assert_eq!(device(Some(&said)), name, "{said}");
        }
        assert_eq!(device(None), "Unknown device");
    }
}
