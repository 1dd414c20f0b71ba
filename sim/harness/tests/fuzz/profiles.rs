//! What a file of profiles can say, and what it is told.

use raftsim_harness::fuzz::{DEFAULT, Profiles};
use raftsim_harness::scenario::{Ending, System, render};
use raftsim_kernel::{Duration, Ppm};

/// The errors of a file, as a person sees them.
fn errors(text: &str) -> String {
    match Profiles::parse(text) {
        Ok(_) => panic!("it is read: {text}"),
        Err(errors) => render(&errors, "profiles.toml", text, false),
    }
}

#[test]
fn those_built_in_say_what_they_are_for() {
    let profiles = Profiles::builtin();
    for name in ["quick", DEFAULT, "hostile", "snapshot", "membership", "multiraft", "disk", "clock"] {
        let profile = profiles.get(name).unwrap_or_else(|| panic!("there is no {name}"));
        assert!(profile.about.ends_with('.'), "{name}: {}", profile.about);
    }
}

#[test]
fn what_a_profile_leaves_out_it_has_from_another() {
    let text = r#"
        [mine]
        like    = "quick"
        stores  = { 3 = 1 }
        systems = { raft = 1 }
        endings = { none = 1, heal = 0 }
        length  = "3s"
        others  = "0%"
        faults  = { crash = { on = "100%" }, pause = { times = "7..9" } }

        [a-like-mine]
        like  = "mine"
        about = "More of the same."
    "#;
    let profiles = Profiles::parse(text).expect("profiles");
    let [mine, more, quick] =
        ["mine", "a-like-mine", "quick"].map(|name| profiles.get(name).expect("a profile"));
    assert_eq!(mine.stores.as_slice(), [(1, 3)]);
    assert_eq!(mine.systems.as_slice(), [(1, System::Raft)]);
    assert_eq!(mine.endings.as_slice(), [(0, Ending::Heal), (1, Ending::None)]);
    assert_eq!((mine.length.low, mine.length.high), (Duration::secs(3), Duration::secs(3)));
    assert_eq!((mine.operations, &mine.about), (quick.operations, &quick.about));
    // A kind that is named keeps what is not said of it; `others` are those that are not named.
    assert_eq!(
        (mine.faults["crash"].on, mine.faults["crash"].times),
        (Ppm::ALWAYS, quick.faults["crash"].times)
    );
    assert_eq!((mine.faults["pause"].on, mine.faults["pause"].times.low), (quick.faults["pause"].on, 7));
    assert_eq!(mine.faults["loss"].on, Ppm::ZERO);
    assert_eq!((more.faults["crash"].on, more.about.as_str()), (Ppm::ALWAYS, "More of the same."));
    assert_eq!(profiles.names().count(), Profiles::builtin().names().count() + 2);
}

#[test]
fn the_default_can_be_another() {
    let profiles = Profiles::parse("[default]\nclients = \"9\"\n").expect("a profile");
    let (mine, builtin) = (profiles.get(DEFAULT).expect("it"), Profiles::builtin());
    assert_eq!(mine.clients.low, 9);
    assert_eq!(mine.stores, builtin.get(DEFAULT).expect("it").stores);
}

#[test]
fn a_file_is_told_what_is_wrong() {
    for (text, words) in [
        ("[p]\nfaults = { crahs = {} }", "no kind of fault \"crahs\""),
        ("[p]\nfoo = 1", "unknown field `foo`"),
        ("[p]\nfaults = { crash = { when = 1 } }", "unknown field `when`"),
        ("[p]\nclients = \"6..1\"", "from low to high"),
        ("[p]\nclients = \"many\"", "expected a range"),
        ("[p]\nhostile = \"150%\"", "150%"),
        ("[p]\nstores = { 99 = 1 }", "a number of stores from 1 to 31"),
        ("[p]\nstores = { 3 = 0 }", "at least one weight"),
        ("[p]\nplacement = { nobody = 1 }", "none, balance, manual, churn"),
        ("[p]\nlike = \"q\"", "no profile \"q\""),
        ("[p]\nlike = \"q\"\n[q]\nlike = \"p\"", "is like itself"),
        ("[p]\nclients = \"0\"", "`clients`"),
        ("[p", "expected"),
    ] {
        let told = errors(text);
        assert!(told.contains(words), "{text}\n{told}");
    }
}
