//! What an export does with each table of the database. A table without a line here is refused, and fails a test.

/// What an export does with a table.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Verdict {
    /// Its rows are moved, in the order of its primary key, whose columns these are.
    Moved(&'static [&'static str]),
    /// Its rows are not moved, for this reason.
    Left(&'static str),
    /// The same, of what processes write for themselves: it takes writes while the database is closed.
    Own(&'static str),
}

use Verdict::{Left, Moved, Own};

/// The table of single numbers. Its rows are written last, over those that a new database begins with.
pub(crate) const FACTS: &str = "facts";

/// All tables. One that others refer to stands before them.
pub(crate) const TABLES: &[(&str, Verdict)] = &[
    ("users", Moved(&["id"])),
    ("emails", Moved(&["address"])),
    ("authenticators", Moved(&["id"])),
    ("sessions", Moved(&["id"])),
    ("former_credentials", Moved(&["session_id", "salt"])),
    ("revocations", Moved(&["session_id"])),
    ("least_versions", Moved(&["user_id"])),
    ("devices", Moved(&["hash"])),
    ("challenges", Moved(&["hash"])),
    ("form_posts", Moved(&["hash"])),
    // So that a move gives nobody new guesses. The keys are HMACs under the root secret.
    ("buckets", Moved(&["key"])),
    ("clients", Moved(&["id"])),
    // Sealed as they are.
    ("signing_keys", Moved(&["kid"])),
    ("audit", Moved(&["id"])),
    ("audit_folds", Moved(&["fold_key"])),
    ("agreed", Moved(&["name"])),
    ("migrations", Left("the new database has run its own, the same ones")),
    ("migration_turns", Own("whose turn it is to run migrations, on PostgreSQL")),
    ("ballast", Own("room on the disk, and nothing else")),
    ("lanes", Own("an import makes those that its rows are on, and each process takes one of its own")),
    (FACTS, Moved(&["name"])),
];

/// The tables that are not moved, and why.
pub fn left() -> impl Iterator<Item = (&'static str, &'static str)> {
    TABLES.iter().filter_map(|(name, verdict)| match verdict {
        Left(why) | Own(why) => Some((*name, *why)),
        Moved(_) => None,
    })
}

/// The tables that take no writes while the database is closed.
pub(crate) fn closed() -> Vec<&'static str> {
    TABLES.iter().filter(|(_, verdict)| !matches!(verdict, Own(_))).map(|(name, _)| *name).collect()
}

/// The key columns of a table that is moved.
pub(crate) fn key_of(table: &str) -> Option<&'static [&'static str]> {
    TABLES.iter().find_map(|(name, verdict)| match verdict {
        Moved(key) if *name == table => Some(*key),
        _ => None,
    })
}

/// The tables that are moved, in the order in which their rows can be written.
pub(crate) fn moved() -> impl Iterator<Item = &'static str> {
    TABLES.iter().filter(|(_, verdict)| matches!(verdict, Moved(_))).map(|(name, _)| *name)
}
