//! What a person is shown for each file of `broken/`: the errors, their places and what was expected, as accepted
//! in the snapshots beside the files.

use raftsim_harness::scenario::{parse, render};

#[test]
fn broken_files_are_explained() {
    let mut settings = insta::Settings::clone_current();
    settings.set_snapshot_path("broken/snapshots");
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    settings.bind(|| {
        insta::glob!("broken/*.toml", |path| {
            let source = std::fs::read_to_string(path).expect("a file of the repository");
            let name = path.file_name().and_then(|name| name.to_str()).expect("a name in ASCII");
            let errors = parse(&source).expect_err("a file in `broken` must not be valid");
            assert!(
                errors.is_sorted_by_key(|error| error.span.start),
                "errors stand in the order of the file"
            );
            insta::assert_snapshot!("broken", render(&errors, name, &source, false));
        });
    });
}
