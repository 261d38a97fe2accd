//! The routes of the product, and who may call them: a route without a row here fails.

use std::path::{Path, PathBuf};

use doorward::testing::Site;

/// Method, path, allowed callers. `anybody` includes callers with a bad credential; `signed in` is every live session;
/// a permission means the roles that grant it; `refresh token` is that credential alone. `a client` is a registered
/// one, and nobody who signs in; `a browser` is no program: a page without JSON; `a proxy` is one of `trusted_proxies`,
/// which asks for somebody.
pub(crate) const ROUTES: &str = "
GET    /                                anybody
GET    /.well-known/change-password     anybody
GET    /.well-known/doorward            anybody
GET    /.well-known/jwks.json           anybody
GET    /admin/audit                     audit:read
GET    /admin/clients                   clients:read
POST   /admin/clients                   clients:write
DELETE /admin/clients/{id}              clients:write
POST   /admin/clients/{id}/delete       clients:write
GET    /admin/invitations               users:read
POST   /admin/invitations               users:write
DELETE /admin/invitations/{id}          users:write
POST   /admin/invitations/{id}/withdraw users:write
GET    /admin/sessions                  sessions:read
DELETE /admin/sessions/{id}             sessions:end
POST   /admin/sessions/{id}/end         sessions:end
GET    /admin/users                     users:read
POST   /admin/users                     users:write
DELETE /admin/users/{id}                users:write
GET    /admin/users/{id}                users:read
PATCH  /admin/users/{id}                users:write
POST   /admin/users/{id}                users:write
POST   /admin/users/{id}/delete         users:write
POST   /admin/users/{id}/reset-link     users:write
DELETE /admin/users/{id}/sessions       sessions:end
GET    /admin/users/{id}/sessions       sessions:read
POST   /admin/users/{id}/sessions/end   sessions:end
GET    /assets/diagram.css              anybody
GET    /assets/diagram.js               anybody
GET    /assets/facts.js                 anybody
GET    /assets/flow.css                 anybody
GET    /assets/flow.js                  anybody
GET    /assets/forms.js                 anybody
GET    /assets/inspect.css              anybody
GET    /assets/inspect.js               anybody
GET    /assets/read.js                  anybody
GET    /assets/tour.css                 anybody
GET    /assets/tour.js                  anybody
GET    /assets/words.json               anybody
POST   /confirm                         signed in
GET    /dashboard                       signed in
GET    /docs                            anybody
GET    /favicon.svg                     anybody
GET    /flow                            flow:read or development
GET    /flow/stories/{id}               flow:read or development
GET    /flow/{id}                       flow:read or development
GET    /forward-auth                    a proxy
GET    /healthz                         anybody
GET    /inspect                         flow:read or development
POST   /inspect                         flow:read or development
POST   /introspect                      a client
GET    /login                           anybody
POST   /login                           anybody
GET    /logout                          a browser
POST   /logout                          anybody
POST   /logout/all                      signed in
GET    /openapi.json                    anybody
GET    /password/reset                  anybody
POST   /password/reset                  anybody
DELETE /profile                         signed in
GET    /profile                         signed in
PATCH  /profile                         signed in
POST   /profile                         signed in
POST   /profile/delete                  signed in
POST   /profile/password                signed in
GET    /readyz                          anybody
GET    /refresh                         a browser
POST   /refresh                         refresh token
GET    /register                        anybody
POST   /register                        anybody
GET    /revocations                     a client
POST   /revoke                          a client
DELETE /sessions                        signed in
GET    /sessions                        signed in
POST   /sessions/end-others             signed in
DELETE /sessions/{id}                   signed in
POST   /sessions/{id}/end               signed in
GET    /style.css                       anybody
GET    /tour                            development
POST   /tour/play                       development
";

/// One row of the table.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Route {
    pub(crate) method: &'static str,
    pub(crate) path: &'static str,
    pub(crate) who: &'static str,
}

/// The rows of the table.
pub(crate) fn routes() -> Vec<Route> {
    let rows = ROUTES.lines().filter(|line| !line.is_empty());
    rows.map(|line| {
        let (method, rest) = line.split_once(' ').unwrap();
        let (path, who) = rest.trim_start().split_once(' ').unwrap();
        Route { method, path, who: who.trim_start() }
    })
    .collect()
}

/// The sources below a folder, without tests.
pub(crate) fn sources(folder: &Path) -> Vec<PathBuf> {
    let paths = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    paths
        .flat_map(|path| match path.extension() {
            _ if path.is_dir() => sources(&path),
            Some(extension) if extension == "rs" && !path.ends_with("tests.rs") => vec![path],
            _ => Vec::new(),
        })
        .collect()
}

#[tokio::test]
async fn a01_every_route_has_a_row_and_every_row_a_route() {
    let site = Site::new().await;
    let mut routes = site.api().routes();
    routes.sort_by_key(|route| (route.path.clone(), route.method.clone()));
    let lines = routes.iter().map(|route| format!("{:6} {:32} {}\n", route.method, route.path, route.who));
    assert_eq!(format!("\n{}", lines.collect::<String>()), ROUTES);
}
