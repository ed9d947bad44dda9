//! The near word for a mistyped one.

/// Words longer than this, in characters, are never compared: no name is this long.
const WORD_CHARS_MAX: usize = 40;

/// More edits than this make another word of any word.
const EDITS_MAX: usize = 3;

/// The candidate that `word` was most likely meant to be, if one is near enough.
///
/// Near is a distance of at most a third of the longer word's letters (one for three letters, two for six) and of no
/// more than three, where a letter added, dropped or changed, or two neighbours swapped, counts as one. Case does not
/// count. A word that begins exactly one candidate is near to that one, however much is missing, and so is one that
/// goes on where exactly one candidate of four letters or more ends, as `address` does to `addr`. Of two equally near
/// ones the first wins.
pub fn suggest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let word = folded(word)?;
    let mut nearest: Option<(usize, &str)> = None;
    let mut begun = Vec::new();
    for candidate in candidates {
        let Some(letters) = folded(candidate) else {
            continue;
        };
        let distance = distance(&word, &letters);
        let near = distance <= (word.len().max(letters.len()) / 3).min(EDITS_MAX);
        if near && nearest.is_none_or(|(least, _)| distance < least) {
            nearest = Some((distance, candidate));
        }
        if (word.len() > 1 && letters.starts_with(&word)) || (letters.len() > 3 && word.starts_with(&letters)) {
            begun.push(candidate);
        }
    }
    match begun[..] {
        [only] => Some(only),
        _ => nearest.map(|(_, candidate)| candidate),
    }
}

fn folded(word: &str) -> Option<Vec<char>> {
    let letters: Vec<char> = word.chars().take(WORD_CHARS_MAX + 1).map(|letter| letter.to_ascii_lowercase()).collect();
    (letters.len() <= WORD_CHARS_MAX).then_some(letters)
}

/// The edit distance with swaps of neighbours, after Damerau; no part of a word is edited twice.
fn distance(a: &[char], b: &[char]) -> usize {
    let mut before: Vec<usize> = Vec::new();
    let mut above: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.iter().enumerate() {
        let mut row = vec![i + 1];
        for (j, y) in b.iter().enumerate() {
            let changed = above[j] + usize::from(x != y);
            let mut least = changed.min(above[j + 1] + 1).min(row[j] + 1);
            if i > 0 && j > 0 && *x == b[j - 1] && a[i - 1] == *y {
                least = least.min(before[j - 1] + 1);
            }
            row.push(least);
        }
        before = std::mem::replace(&mut above, row);
    }
    above[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    const FLAGS: [&str; 6] = ["fail-fast", "format", "max-line", "null", "no-nan", "bytes"];

    #[test]
    fn near_words_are_found_and_far_ones_are_not() {
        for (typed, meant) in [
            ("fial-fast", Some("fail-fast")),
            ("failfast", Some("fail-fast")),
            ("FAIL-FAST", Some("fail-fast")),
            ("fail", Some("fail-fast")),
            ("nul", Some("null")),
            ("byte", Some("bytes")),
            ("bytse", Some("bytes")),
            ("formatting", Some("format")),
            ("n", None),
            ("", None),
            ("frobnicate", None),
            ("line-buffered", None),
            ("nope", None),
        ] {
            assert_eq!(suggest(typed, FLAGS), meant, "{typed}");
        }
    }

    #[test]
    fn a_beginning_of_two_words_is_judged_by_distance() {
        assert_eq!(suggest("co", ["color", "count"]), None);
        assert_eq!(suggest("coun", ["color", "count"]), Some("count"));
    }

    #[test]
    fn the_distance_counts_a_swap_once() {
        let letters = |word: &str| word.chars().collect::<Vec<_>>();
        for (a, b, edits) in [
            ("", "", 0),
            ("", "abc", 3),
            ("ab", "ba", 1),
            ("abc", "acb", 1),
            ("abcd", "badc", 2),
            ("kitten", "sitting", 3),
        ] {
            assert_eq!(distance(&letters(a), &letters(b)), edits, "{a} {b}");
            assert_eq!(distance(&letters(b), &letters(a)), edits, "{b} {a}");
        }
    }

    #[test]
    fn an_absurdly_long_word_costs_nothing() {
        assert_eq!(suggest(&"fail-fast".repeat(1_000_000), FLAGS), None);
    }
}
