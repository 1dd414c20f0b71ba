use super::*;

fn region(id: u64, start: &'static str, end: &'static str) -> Region {
    Region { id, start_key: start.into(), end_key: end.into(), ..Region::default() }
}

fn claimed(regions: &[Region]) -> Ranges {
    let mut ranges = Ranges::default();
    regions.iter().for_each(|region| ranges.claim(region));
    ranges
}

fn overlapping(ranges: &Ranges, start: &str, end: &str) -> Vec<u64> {
    ranges.overlapping(start.as_bytes(), end.as_bytes()).collect()
}

#[test]
fn a_key_belongs_to_the_range_that_includes_it() {
    let ranges = claimed(&[region(1, "", "b"), region(2, "d", "f"), region(3, "f", "")]);
    let holding = |key: &str| ranges.holding(key.as_bytes());
    assert_eq!(
        ["", "a", "b", "c", "d", "ez", "f", "z"].map(holding),
        [Some(1), Some(1), None, None, Some(2), Some(2), Some(3), Some(3)]
    );
}

#[test]
fn ranges_that_only_touch_do_not_overlap() {
    let ranges = claimed(&[region(1, "b", "d"), region(2, "d", "f"), region(3, "h", "")]);
    assert_eq!(overlapping(&ranges, "", "b"), []);
    assert_eq!(overlapping(&ranges, "", "c"), [1]);
    assert_eq!(overlapping(&ranges, "c", "d"), [1]);
    assert_eq!(overlapping(&ranges, "b", "e"), [1, 2]);
    assert_eq!(overlapping(&ranges, "f", "h"), []);
    assert_eq!(overlapping(&ranges, "", ""), [1, 2, 3]);
    assert_eq!(overlapping(&ranges, "z", ""), [3]);
}

#[test]
fn what_nobody_claimed_is_what_lies_between() {
    let gaps = |ranges: &Ranges, start: &'static str, end: &'static str| {
        let gaps = ranges.unclaimed(&start.into(), &end.into()).into_iter();
        gaps.map(|(from, to)| format!("{}..{}", from.escape_ascii(), to.escape_ascii())).collect::<Vec<_>>()
    };
    let ranges = claimed(&[region(1, "b", "d"), region(2, "f", "h")]);
    assert_eq!(gaps(&ranges, "", ""), ["..b", "d..f", "h.."]);
    assert_eq!(gaps(&ranges, "c", "g"), ["d..f"]);
    assert_eq!(gaps(&ranges, "b", "d"), [""; 0]);
    assert_eq!(gaps(&ranges, "d", "e"), ["d..e"]);
    let last = claimed(&[region(1, "b", "")]);
    assert_eq!(gaps(&last, "a", ""), ["a..b"]);
    assert_eq!(gaps(&last, "c", "d"), [""; 0]);
    assert_eq!(gaps(&Ranges::default(), "a", ""), ["a.."]);
}

#[test]
fn a_claim_can_shrink_and_end() {
    let mut ranges = claimed(&[region(1, "", "")]);
    ranges.claim(&region(1, "", "m"));
    ranges.claim(&region(2, "m", ""));
    assert!(ranges.is_claimed_by(&region(1, "", "m")));
    assert!(!ranges.is_claimed_by(&region(1, "", "")));
    ranges.release(&region(3, "m", ""));
    assert_eq!(ranges.holding(b"z"), Some(2));
    ranges.release(&region(2, "m", ""));
    assert_eq!(ranges.holding(b"z"), None);
}

#[test]
#[should_panic(expected = "region 2 claims keys of region 1")]
fn nobody_claims_what_another_has() {
    claimed(&[region(1, "b", "d"), region(2, "a", "c")]);
}

#[test]
fn what_is_given_up_is_nobodys_until_it_is_free() {
    let mut ranges = claimed(&[region(1, "", "d"), region(2, "d", "f")]);
    assert_eq!(ranges.abandon(&region(2, "d", "")), Some(("d".into(), "f".into())), "as it was claimed");
    assert_eq!(ranges.abandon(&region(3, "", "")), None, "another one's claim");
    assert_eq!((ranges.holding(b"e"), overlapping(&ranges, "e", "")), (Some(0), vec![0]));
    assert_eq!(ranges.unclaimed(&"".into(), &"".into()), [("f".into(), "".into())]);
    ranges.free(&"".into());
    ranges.free(&"d".into());
    assert_eq!(overlapping(&ranges, "", ""), [1]);
    ranges.withhold(&"d".into(), &"".into());
    assert_eq!(overlapping(&ranges, "z", ""), [0]);
}
