//! Numbers for people. Integers only, like all arithmetic here.

/// `12,345`
pub(crate) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// `1 step`, `12 steps`
pub(crate) fn count(number: usize, what: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{} {what}{plural}", grouped(number as u64))
}

/// `970`, `85.3 k`, `2.1 M`
pub(crate) fn rounded(number: u64) -> String {
    match number {
        0..10_000 => grouped(number),
        10_000..1_000_000 => format!("{}.{} k", number / 1_000, number / 100 % 10),
        _ => format!("{}.{} M", grouped(number / 1_000_000), number / 100_000 % 10),
    }
}

/// `1.203 s`, `2 min 5 s`, `3 h 12 min`, from nanoseconds.
pub(crate) fn span(nanos: u64) -> String {
    let seconds = nanos / 1_000_000_000;
    match seconds {
        0..120 => format!("{seconds}.{:03} s", nanos / 1_000_000 % 1_000),
        120..7_200 => format!("{} min {} s", seconds / 60, seconds % 60),
        _ => format!("{} h {} min", grouped(seconds / 3_600), seconds / 60 % 60),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_read_well() {
        assert_eq!(
            ["0", "999", "1,000", "12,345,678"],
            [0, 999, 1_000, 12_345_678].map(grouped).each_ref().map(|s| s.as_str())
        );
        assert_eq!((count(1, "run"), count(2_000, "run")), ("1 run".into(), "2,000 runs".into()));
        assert_eq!(
            ["970", "85.3 k", "2.1 M"],
            [970, 85_340, 2_149_999].map(rounded).each_ref().map(|s| s.as_str())
        );
        assert_eq!(span(1_203_999_999), "1.203 s");
        assert_eq!(span(125 * 1_000_000_000), "2 min 5 s");
        assert_eq!(span(11_520 * 1_000_000_000), "3 h 12 min");
    }
}
