//! Text with stars in it: the smallest piece of a pattern.

use std::fmt;

use crate::bcp::unescape;

/// A text in which each `*` stands for any run of characters, line breaks too.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Glob {
    /// The texts between the stars; one more than there are stars.
    pub(super) pieces: Vec<Vec<u8>>,
}

impl fmt::Display for Glob {
    /// Its text, decoded, with a `*` for each star.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&String::from_utf8_lossy(&self.pieces.join(&b'*')))
    }
}

impl Glob {
    /// Reads a glob: escapes are decoded in the pieces between the stars, so that `%2A` is a literal star.
    pub fn decoded(text: &[u8]) -> Glob {
        Glob { pieces: text.split(|&b| b == b'*').map(|piece| unescape(piece).into_owned()).collect() }
    }

    /// The glob of a text that is taken as it stands but for its stars.
    pub fn raw(text: &[u8]) -> Glob {
        Glob { pieces: text.split(|&b| b == b'*').map(<[u8]>::to_vec).collect() }
    }

    /// The same glob in ASCII lower case.
    #[must_use]
    pub fn folded(mut self) -> Glob {
        self.pieces.iter_mut().for_each(|piece| piece.make_ascii_lowercase());
        self
    }

    /// The same glob without white space at either end of the whole.
    #[must_use]
    pub fn trimmed(mut self) -> Glob {
        if let Some(first) = self.pieces.first_mut() {
            let white = first.iter().take_while(|&&b| crate::text::is_white(b)).count();
            first.drain(..white);
        }
        if let Some(last) = self.pieces.last_mut() {
            let white = last.iter().rev().take_while(|&&b| crate::text::is_white(b)).count();
            last.truncate(last.len() - white);
        }
        self
    }

    /// The text, when there is no star in it.
    pub fn literal(&self) -> Option<&[u8]> {
        match self.pieces.as_slice() {
            [only] => Some(only),
            _ => None,
        }
    }

    /// Whether each piece is UTF-8: a star stands for whole characters, and a message holds nothing else.
    pub fn is_text(&self) -> bool {
        self.pieces.iter().all(|piece| std::str::from_utf8(piece).is_ok())
    }

    /// The text up to the first star, and whether a star follows.
    pub fn beginning(&self) -> (&[u8], bool) {
        (self.pieces.first().map(Vec::as_slice).unwrap_or_default(), self.pieces.len() > 1)
    }

    /// The same glob without its first `count` bytes, which stand before any star.
    #[must_use]
    pub fn without_beginning(mut self, count: usize) -> Glob {
        if let Some(first) = self.pieces.first_mut() {
            first.drain(..count.min(first.len()));
        }
        self
    }

    /// Whether the whole of `text` matches.
    ///
    /// Each piece is taken where it is first found, which is right for the pieces between two stars; nothing is ever
    /// tried again, so that many stars cost no more than one.
    pub fn matches(&self, text: &[u8]) -> bool {
        let [first, middle @ .., last] = self.pieces.as_slice() else {
            return self.literal() == Some(text);
        };
        let Some(mut rest) = text.strip_prefix(first.as_slice()).and_then(|t| t.strip_suffix(last.as_slice())) else {
            return false;
        };
        for piece in middle {
            match memchr::memmem::find(rest, piece) {
                Some(at) => rest = rest.get(at + piece.len()..).unwrap_or_default(),
                None => return false,
            }
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_is_any_run_and_nothing_else_is_special() {
        for (glob, text, matches) in [
            ("abc", "abc", true),
            ("abc", "abcd", false),
            ("", "", true),
            ("", "a", false),
            ("*", "", true),
            ("*", "x\ny", true),
            ("a*", "abc", true),
            ("*c", "abc", true),
            ("a*c", "ac", true),
            ("a*b*c", "axxbxxc", true),
            ("a*b*c", "axxc", false),
            ("aa*aa", "aaa", false),
            ("*ab*ab*", "abab", true),
            ("*ab*ab*", "aab", false),
            ("a%2Ab", "a*b", true),
            ("a%2Ab", "axb", false),
            ("a?c", "abc", false),
            ("x+y", "x y", true),
            ("**", "x", true),
        ] {
            assert_eq!(Glob::decoded(glob.as_bytes()).matches(text.as_bytes()), matches, "{glob} {text}");
        }
    }

    #[test]
    fn many_stars_over_a_long_text_take_no_time() {
        let glob = Glob::raw("*a".repeat(1_000).as_bytes());
        assert!(!glob.matches("a".repeat(999).as_bytes()));
        assert!(!Glob::raw(b"*aaaaaaaaab*c").matches("a".repeat(1 << 20).as_bytes()));
    }
}
