use crate::Identity;
use doorward_core::role::Roles;

/// What a route needs besides a good credential.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Needs {
    /// Exactly this role.
    Role(&'static str),
    /// A role that grants this permission; `admin` grants every one.
    Permission(&'static str),
}

impl Needs {
    /// Whether a caller with these roles meets it. A role that the guard was not configured with grants nothing.
    pub(crate) fn are_met_by(self, identity: &Identity, roles: &Roles) -> bool {
        match self {
            Self::Role(name) => identity.role.as_str() == name,
            Self::Permission(name) => roles.grants(identity.role, name),
        }
    }
}

/// A requirement as a type, for `Require<…>` among a handler's arguments.
///
/// ```
/// use doorward_guard::{Needs, Requirement};
///
/// struct WritesPosts;
///
/// impl Requirement for WritesPosts {
///     const NEEDS: Needs = Needs::Permission("posts.write");
/// }
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` does not say what a caller needs",
    label = "not a requirement",
    note = "write `impl doorward_guard::Requirement for {Self} {{ const NEEDS: Needs = Needs::Role(\"editor\"); }}`",
    note = "or `Needs::Permission(\"posts.write\")`; for the role `admin` there is `doorward_guard::Admin`"
)]
pub trait Requirement: Send + Sync + 'static {
    /// The requirement.
    const NEEDS: Needs;
}

/// Needs the role `admin`.
#[derive(Debug, Clone, Copy)]
pub struct Admin;

impl Requirement for Admin {
    const NEEDS: Needs = Needs::Role("admin");
}
