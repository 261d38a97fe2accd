//! The tables in `tests/verdicts/` that guards in several languages share.

use std::path::{Path, PathBuf};

use serde_json::Value;

/// The table in the file of this name.
pub(crate) struct Table(pub(crate) &'static str);

impl Table {
    fn path(&self) -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/verdicts").join(self.0)
    }

    pub(crate) fn read(&self) -> Value {
        serde_json::from_str(&std::fs::read_to_string(self.path()).unwrap()).unwrap()
    }

    pub(crate) fn is_what_its_generator_writes(&self, made: &Value) {
        if std::env::var_os("UPDATE").is_some() {
            std::fs::write(self.path(), text(made)).unwrap();
        }
        assert_eq!(self.read(), *made, "UPDATE=1 cargo test -p doorward --test guard the_table");
    }
}

/// One row on each line, so that a diff shows what changed.
fn text(table: &Value) -> String {
    let mut table = table.clone();
    let rows = table.as_object_mut().unwrap().remove("rows").unwrap();
    let rows: Vec<_> = rows.as_array().unwrap().iter().map(Value::to_string).collect();
    let head = table.to_string();
    format!("{},\n\"rows\": [\n{}\n]}}\n", head.trim_end_matches('}').to_owned() + "}", rows.join(",\n"))
}
