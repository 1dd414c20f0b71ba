//! The schema that editors load is the one that the parser's tables make.

use raftsim_harness::scenario::schema;
use std::path::Path;

#[test]
fn the_schema_on_file_is_current() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../scenarios/schema.json");
    let kept = std::fs::read_to_string(&path).unwrap_or_default();
    let mut current = serde_json::to_string_pretty(&schema()).expect("a JSON value is printable");
    current.push('\n');
    if kept != current {
        let new = Path::new(env!("CARGO_TARGET_TMPDIR")).join("schema.json");
        std::fs::write(&new, &current).expect("the directory for the files of tests");
        panic!("scenarios/schema.json is not current; take over {}", new.display());
    }
}
