//! The fast path of the codec: an object as peers write it, respelled in one pass (design.md, section 14).
//!
//! Nearly all JSON on the wire is printable ASCII without a backslash, with `, ` and `: ` or bare `,` and `:` between
//! its parts. There a string ends at the next quote, and the spelling of section 4 is the text itself without those
//! blanks: runs of it are copied from one blank to the next. A [`Usual`] knows nothing else. At anything that asks for
//! care, or is a fault, it gives up, and the object is read again by the [`Pen`](super::pen::Pen), which knows all of
//! JSON and says what is wrong.

use super::eight::{STEP, position};
use super::names::Names;
use super::number::json_number;

/// Whether a text is printable ASCII without a backslash, so that nothing in its strings asks for care.
pub fn is_usual(text: &[u8]) -> bool {
    // Each byte of a step is judged, whatever the one before says, so that the compiler can do them at once. As signed
    // numbers, what is beyond ASCII is less than a blank.
    let is_unusual = |b: u8| ((b as i8) < b' ' as i8) | (b == 0x7f) | (b == b'\\');
    let has_unusual = |step: &[u8]| step.iter().fold(false, |found, &b| found | is_unusual(b));
    match text.last_chunk::<{ 2 * STEP }>() {
        Some(last) => !has_unusual(last) && !text.chunks_exact(2 * STEP).any(has_unusual),
        None => !has_unusual(text),
    }
}

/// Where reading and writing stand in a text that [`is_usual`].
pub struct Usual<'t, 'r> {
    text: &'t [u8],
    /// What is read next.
    at: usize,
    /// Where the run begins that has been read and not been copied.
    run: usize,
    room: &'r mut [u8],
    written: usize,
}

/// The lists and objects that are open, the innermost lowest: one bit each, set for an object, behind [`Levels::NONE`],
/// whose highest bit marks where they begin and whose lowest stands for the text around them.
struct Levels(u64);

impl Levels {
    const NONE: u64 = 0b10;
    const PARAMETERS: u64 = 0b101;

    #[inline(always)]
    fn open(&mut self, is_object: bool) -> Option<()> {
        // More levels than fit in a word are for the pen.
        if self.0 >> 63 != 0 {
            return None;
        }
        self.0 = self.0 << 1 | u64::from(is_object);
        Some(())
    }

    #[inline(always)]
    fn in_object(&self) -> bool {
        self.0 & 1 == 1
    }

    #[inline(always)]
    fn closing(&self) -> u8 {
        if self.in_object() { b'}' } else { b']' }
    }
}

impl<'t, 'r> Usual<'t, 'r> {
    /// At the start of a text; `room` is where its spelling goes.
    pub fn new(text: &'t [u8], room: &'r mut [u8]) -> Self {
        Usual { text, at: 0, run: 0, room, written: 0 }
    }

    /// Respells the parameters' object with which the text begins and takes down its names: how long it was, and how
    /// long it became. `None` when something in it asks for care.
    pub fn object(&mut self, names: &mut Names, keep_case: bool) -> Option<(usize, usize)> {
        if self.text.first() != Some(&b'{') {
            return None;
        }
        let mut levels = Levels(Levels::NONE);
        loop {
            if levels.in_object() {
                let name = self.name()?;
                if levels.0 == Levels::PARAMETERS && !names.add_usual(name, keep_case) {
                    return None;
                }
            }
            match *self.text.get(self.at)? {
                b'"' => _ = self.string()?,
                bracket @ (b'{' | b'[') => {
                    levels.open(bracket == b'{')?;
                    self.at += 1;
                    if *self.text.get(self.at)? != levels.closing() {
                        continue;
                    }
                }
                b'0'..=b'9' | b'-' => self.number()?,
                b'n' => self.word(b"null")?,
                b't' => self.word(b"true")?,
                b'f' => self.word(b"false")?,
                _ => return None,
            }
            // Behind a value everything that ends is closed, until another one follows.
            while *self.text.get(self.at)? != b',' {
                if *self.text.get(self.at)? != levels.closing() {
                    return None;
                }
                self.at += 1;
                levels.0 >>= 1;
                if levels.0 == Levels::NONE {
                    self.copy_run()?;
                    return Some((self.at, self.written));
                }
            }
            self.separator()?;
        }
    }

    /// Reads a name and the colon behind it.
    #[inline(always)]
    fn name(&mut self) -> Option<&'t [u8]> {
        if *self.text.get(self.at)? != b'"' {
            return None;
        }
        let name = self.string()?;
        if *self.text.get(self.at)? != b':' {
            return None;
        }
        self.separator()?;
        Some(name)
    }

    /// Reads the string whose opening quote stands here, and gives its inside.
    #[inline(always)]
    fn string(&mut self) -> Option<&'t [u8]> {
        let text = self.text.get(self.at + 1..)?;
        let length = position(b'"', text);
        self.at += 1 + length + 1;
        text.get(..length)
    }

    /// Reads a number that is its own spelling, which all are but those with a `+`.
    #[inline(always)]
    fn number(&mut self) -> Option<()> {
        let text = self.text.get(self.at..)?;
        self.at += match text {
            // Most numbers of a game are integers of one digit.
            [b'0'..=b'9', b',' | b']' | b'}', ..] => 1,
            _ => json_number(text).filter(|&length| !text.iter().take(length).any(|&b| b == b'+'))?,
        };
        Some(())
    }

    #[inline(always)]
    fn word<const LENGTH: usize>(&mut self, word: &[u8; LENGTH]) -> Option<()> {
        let stands_here = self.text.get(self.at..)?.first_chunk() == Some(word);
        self.at += LENGTH;
        stands_here.then_some(())
    }

    /// Reads the comma or colon that stands here, and passes over the blank behind it.
    #[inline(always)]
    fn separator(&mut self) -> Option<()> {
        self.at += 1;
        if *self.text.get(self.at)? == b' ' {
            self.copy_run()?;
            self.at += 1;
            self.run = self.at;
        }
        Some(())
    }

    /// Copies what was read since the last blank.
    #[inline(always)]
    fn copy_run(&mut self) -> Option<()> {
        let length = self.at - self.run;
        let (text, room) = (self.text.get(self.run..)?, self.room.get_mut(self.written..)?);
        match (text.first_chunk::<STEP>(), room.first_chunk_mut::<STEP>()) {
            // Most runs are short. What is stored too much is written over.
            (Some(step), Some(room)) if length <= STEP => *room = *step,
            _ => room.get_mut(..length)?.copy_from_slice(text.get(..length)?),
        }
        self.written += length;
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::json::{Room, Scanner};
    use super::super::parts::Message;
    use super::*;

    /// What an object becomes on one of the two ways, what is left behind it, and whether a name may stand twice.
    fn spelled(text: &[u8], usual: bool, keep_case: bool) -> Option<(String, usize, bool)> {
        let mut parts = Message::new();
        let mut scanner = Scanner::new(text, true, Room::default());
        parts.scan_object(&mut scanner, usual, keep_case).ok()?;
        let left = scanner.rest().len();
        parts.take_back(scanner);
        Some((String::from_utf8_lossy(parts.object()).into_owned(), left, parts.names.may_repeat()))
    }

    fn is_taken(text: &str) -> bool {
        let mut room = vec![0; text.len() + STEP];
        Usual::new(text.as_bytes(), &mut room).object(&mut Names::default(), false).is_some()
    }

    #[test]
    fn what_peers_write_is_taken_and_what_asks_for_care_is_not() {
        for taken in [
            r#"{}"#,
            r#"{"a": 1, "b": [], "c": {}, "d": [0, -1.5e-7, {"e": null}], "f": true, "g": false}"#,
            r#"{"a":1,"b":[[],[{}]],"a longer name than a step":"and a longer value, with: {commas}"} behind"#,
        ] {
            assert!(is_taken(taken), "{taken}");
        }
        let deep = format!(r#"{{"a":{}{}}}"#, "[".repeat(70), "]".repeat(70));
        for left in [
            "",
            "{",
            r#"{"a""#,
            r#"{"A":1}"#,
            r#"{" a":1}"#,
            r#"{"a ":1}"#,
            r#"{"a" :1}"#,
            r#"{"a":  1}"#,
            r#"{"a":1e+5}"#,
            r#"{"a":01}"#,
            r#"{"a":NaN}"#,
            r#"{"a":1,}"#,
            r#"{"a":[1,]}"#,
            r#"{"a":[1}}"#,
            r#"{"a":}"#,
            r#"{"a":nul"#,
            "[1]",
            "5,{}",
            r#""a""#,
            &deep,
        ] {
            assert!(!is_taken(left), "{left}");
        }
    }

    #[test]
    fn both_ways_give_the_same() {
        const PIECES: &[u8] = br#"{}[]{}[],,,:::""""  aA019-+.eEnullNtruefals"#;
        let seed =
            r#"{"name": "s_left", "a": [1, -20, {"long name of a member": "a value longer than that"}], "x": null}"#;
        let mut random = 1u64;
        let mut below = |bound: usize| {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (random >> 33) as usize % bound
        };
        let mut good = 0;
        for _ in 0..20_000 {
            let mut text = seed.as_bytes().to_vec();
            for _ in 0..1 + below(3) {
                let at = below(text.len());
                match below(3) {
                    0 => _ = text.remove(at),
                    1 => text[at] = PIECES[below(PIECES.len())],
                    _ => text.insert(at, PIECES[below(PIECES.len())]),
                }
            }
            assert!(is_usual(&text));
            let keep_case = below(2) == 0;
            let spelled = [true, false].map(|usual| spelled(&text, usual, keep_case));
            assert_eq!(spelled[0], spelled[1], "{}", text.escape_ascii());
            good += usize::from(spelled[0].is_some());
        }
        assert!(good > 1_000, "{good} were JSON");
    }

    #[test]
    fn one_byte_that_asks_for_care_is_seen_wherever_it_stands() {
        for length in 1..5 * STEP {
            for at in 0..length {
                let mut text = vec![b'x'; length];
                for byte in 0..=255 {
                    text[at] = byte;
                    assert_eq!(is_usual(&text), (b' '..=b'~').contains(&byte) && byte != b'\\', "{byte:#x} at {at}");
                }
            }
        }
    }
}
