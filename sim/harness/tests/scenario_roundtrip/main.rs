//! Two promises of scenario files, for any scenario and any bytes: `parse(print(s)) == s`, and parsing never panics
//! but explains.

mod config;
mod looks;
mod steps;
mod values;

use config::scenario;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use raftsim_harness::scenario::*;

/// Parses and, where that fails, renders: neither may panic, and a failure says why.
fn explain(source: &str) -> Result<Scenario, TestCaseError> {
    parse(source).map_err(|errors| {
        assert!(!errors.is_empty(), "a failure without an error");
        let text = render(&errors, "generated.toml", source, false);
        assert!(
            text.contains("error: ") && render(&errors, "generated.toml", source, true).len() >= text.len()
        );
        TestCaseError::fail(text)
    })
}

/// Fragments that get a random file past the first bytes.
const FRAGMENTS: [&str; 16] = [
    "about = \"x\"\n",
    "steps = [",
    "]",
    "{ ",
    " }",
    "crash = ",
    "wait = ",
    "\"leader\"",
    ", ",
    "at = \"1s\"",
    "as = \"n\"",
    "\"1s..\"",
    "[[steps]]\n",
    "= ",
    "\n",
    "'''",
];

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_is_printed_parses_to_the_same(scenario in scenario()) {
        let printed = scenario.to_string();
        let parsed = explain(&printed)?;
        prop_assert_eq!(&parsed, &scenario, "printed as\n{}", printed);
        prop_assert_eq!(parsed.to_string(), printed);
    }

    #[test]
    fn any_text_is_read_or_explained(bytes in vec(any::<u8>(), 0..200)) {
        let _ = explain(&String::from_utf8_lossy(&bytes));
    }

    #[test]
    fn any_words_are_read_or_explained(words in vec(select(FRAGMENTS.to_vec()), 0..40)) {
        let _ = explain(&words.concat());
    }

    #[test]
    fn any_edit_of_a_valid_file_is_read_or_explained(
        scenario in scenario(),
        edits in vec((any::<prop::sample::Index>(), 0..3u8, any::<char>()), 1..4),
    ) {
        let mut chars: Vec<char> = scenario.to_string().chars().collect();
        for (at, kind, c) in edits {
            // One place past the end is a place too, and the only one of an empty file.
            let at = at.index(chars.len() + 1);
            match kind {
                0 if at < chars.len() => { chars.remove(at); }
                1 => chars.insert(at, c),
                _ => chars.truncate(at),
            }
        }
        let _ = explain(&chars.into_iter().collect::<String>());
    }
}
